"""What the catalogues behind providers.json lack, or have in a way that does not suit a router: tables, with the reasons."""

BASE_URLS = {
    # The catalogue leaves these to client libraries, which know them; here they are as the providers document them.
    "aihubmix": "https://aihubmix.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "cerebras": "https://api.cerebras.ai/v1",
    "cohere": "https://api.cohere.ai/compatibility/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "google": "https://generativelanguage.googleapis.com/v1beta",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "openai": "https://api.openai.com/v1",
    "perplexity": "https://api.perplexity.ai",
    "togetherai": "https://api.together.xyz/v1",
    "v0": "https://api.v0.dev/v1",
    "venice": "https://api.venice.ai/api/v1",
    "vercel": "https://ai-gateway.vercel.sh/v1",
    "xai": "https://api.x.ai/v1",
    # It names the route there, not the root.
    "bailing": "https://api.tbox.cn/api/llm/v1",
}

KEY_VARIABLES = {
    # These are set on many machines for something else: that prompts go there, and are billed, must be meant.
    "github-models": ["GITHUB_MODELS_TOKEN"],
    "huggingface": ["HF_INFERENCE_TOKEN"],
    # A shell cannot set a variable whose name begins with a digit.
    "302ai": ["AI302_API_KEY"],
    # GOOGLE_API_KEY is also the key of maps and of much else.
    "google": ["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    "togetherai": ["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
}

NAMES = {
    # hermes_db's key `huggingface` is the one that models are downloaded with.
    "huggingface": "huggingface-inference",
}

LEFT_OUT = {
    "amazon-bedrock": "its address holds a region, its key is a signature",
    "azure": "its address holds the name of a resource",
    "azure-cognitive-services": "its address holds the name of a resource",
    "cloudflare-ai-gateway": "its address holds an account",
    "cloudflare-workers-ai": "its address holds an account",
    "databricks": "its address holds a host of one's own",
    "github-copilot": "its key is exchanged for another one every half hour",
    "gitlab": "an API of its own",
    "google-vertex": "its address holds a project, its key is a file",
    "google-vertex-anthropic": "its address holds a project, its key is a file",
    "sap-ai-core": "its key is a document",
    "perplexity-agent": "speaks OpenAI's Responses API only",
    "vivgrid": "speaks OpenAI's Responses API",
    "atomic-chat": "a server on the machine itself",
    "lmstudio": "a server on the machine itself: switch looks for it there",
    "privatemode-ai": "a server on the machine itself",
    # Sold by the month for one's own coding tool; a router that shares them breaks their terms.
    "alibaba-coding-plan": "for coding tools only",
    "alibaba-coding-plan-cn": "for coding tools only",
    "firepass": "for coding tools only",
    "kimi-for-coding": "for coding tools only",
    "kuae-cloud-coding-plan": "for coding tools only",
    "minimax-cn-coding-plan": "for coding tools only",
    "minimax-coding-plan": "for coding tools only",
    "opencode-go": "for coding tools only",
    "stepfun-ai": "for coding tools only",
    "tencent-coding-plan": "for coding tools only",
    "umans-ai-coding-plan": "for coding tools only",
    "xiaomi-token-plan-ams": "for coding tools only",
    "xiaomi-token-plan-cn": "for coding tools only",
    "xiaomi-token-plan-sgp": "for coding tools only",
    "zai-coding-plan": "for coding tools only",
    "zhipuai-coding-plan": "for coding tools only",
}

SHARES_ITS_VARIABLE = ("alibaba-cn", "minimax-cn", "moonshotai-cn", "zai")
"""Houses for another country whose key goes by the same variable, though a key of one does not work at the other: these get a variable
of their own, `<NAME>_API_KEY`. (ZHIPU_API_KEY is by its name zhipuai's.)"""

PRICES = {
    # Our provider, and theirs in genai_prices. Only where both name models alike.
    "anthropic": "anthropic",
    "baseten": "baseten",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks-ai": "fireworks",
    "google": "google",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "novita-ai": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "togetherai": "together",
    "xai": "x-ai",
    "zai": "zai",
    "zhipuai": "zhipuai",
}

NEWER_MODELS = {
    # Providers whose models that only the fresher price list knows are taken over, those whose name begins so.
    "anthropic": "claude-",
    "baseten": "",
    "deepseek": "deepseek-",
    "google": "gemini-",
    "mistral": "mistral-",
    "moonshotai": "kimi-",
    "novita-ai": "",
    "openai": "gpt-",
    "togetherai": "",
    "xai": "grok-",
}
NEWER_CONTEXT_TOKENS = 256_000
"""Least context of such a model. The list has no dates; models of years ago, which it keeps too, held less."""

OLD = (
    "claude-2",
    "gemini-1",
    "gemini-flash-1.5",
    "gemini-pro-1.5",
    "grok-4-0709",
    "grok-4-1-fast",
    "grok-4-fast",
    "grok-code-fast-1",
)
"""Beginnings of names that the rule above takes for new."""

LIKE = {"openai": "gpt-5.5"}
"""What a provider's newer models can do is what the newest dated one of the same line can (`claude-opus-5-5` as `claude-opus-4-7`);
where there is no such line it is what this one can, and else it is not known."""

NOT_FOR_CHAT = (
    *("aqa", "asr", "audio", "computer-use", "deep-research", "embed", "guard", "image", "imagen", "live", "moderation", "nano-banana"),
    *("ocr", "omni-moderation", "realtime", "rerank", "robotics", "safeguard", "sora", "speech", "transcribe", "tts", "veo", "voice"),
    *("voxtral", "whisper"),
)  # fmt: skip
"""Parts of names of models that do not answer chat completions with text."""

RESPONSES_ONLY = {
    # OpenAI's own API does not have these under /chat/completions.
    "openai": ("-pro", "codex", "-instruct", "-cyber", "-rosalind", "-deep-research"),
}
