"""What a small model is told of a request about audio."""

from switch.calls import Call
from switch.local.light import Light
from switch.local.prompt import SYSTEM_PROMPT


def test_the_light_model_gets_the_question_without_the_words_for_larger_ones(settings_of):
    question = {"role": "user", "content": "what does a compressor do?"}
    told = {"role": "system", "content": "You are an experienced audio engineer."}
    call = Call({"messages": [told, question]}, plain_messages=[question])
    said = Light(settings_of(), pool=None)._said(call)
    assert said["messages"] == [{"role": "system", "content": SYSTEM_PROMPT}, question]
