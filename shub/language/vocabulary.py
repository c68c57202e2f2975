"""The words of audio work in Spanish and English, folded (lower case, no accents), and what each stands for.

Phrases are separated by `|`; `[oa]` stands for both endings, plurals are understood (`words.singular`). Verbs are patterns of whole words,
with the endings and the pronouns that Spanish hangs on them.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from shub.language.words import singular

# ----------------------------------------------------------------------------------------------------------------- verbs
_CLITICS = "(?:me|te|se|nos|os)?(?:l[aeo]s?)?"
_AR = "(?:a|e|o|as|es|an|en|ar|ando|amos|emos|ad|aras?|are|aria|ase|ame|ais)"
_ER = "(?:e|a|o|es|as|en|an|er|iendo|emos|amos|ed|eras?|ere|i)"
_IR = "(?:e|a|o|es|as|en|an|ir|iendo|imos|amos|id|i|iras?|ire|is)"


def _ar(stems: str) -> str:
    return f"(?:{stems}){_AR}{_CLITICS}"


def _er(stems: str) -> str:
    return f"(?:{stems}){_ER}{_CLITICS}"


def _ir(stems: str) -> str:
    return f"(?:{stems}){_IR}{_CLITICS}"


VERBS: Mapping[str, str | tuple[str, ...]] = {
    "raise": (
        _ir("sub"), _ar("levant|aument|increment|elev|alz|realz"), "raise[sd]?|raising|increas(?:e|es|ed|ing)|lift(?:s|ed|ing)?|louder",
        "amplify|hike|nudge",
    ),
    "lower": (
        "(?:baj)(?:a|e|as|es|ar|ando|amos|emos|ad|aras?|ame)" + _CLITICS, _ar("rebaj|aten[u]|recul"), "(?:lower|decreas|attenuat)(?:e|s|es|ed|ing)?",
        "reduc(?:e|es|ir|iendo|ed|ing)" + _CLITICS, "reduzca[sn]?" + _CLITICS, "disminu(?:ye|ir|ya|yas)" + _CLITICS, "quieter|softer",
        "duck it",
    ),
    "boost": ("boost(?:s|ed|ing)?", _ar("potenci|realz|resalt|enfatiz|enfatic|acentu|destac|destaqu|refuerz|reforz|refuerc"), "emphasi[sz]e|accentuate|realce", "enhance[sd]?|enhancing|bump"),
    "cut": (
        "cut(?:s|ting)?", _ar("cort|recort|rebaj|tall"), "corte", "dip(?:s|ping)?", "scoop(?:s|ing)?", "carve|shave|roll(?:ed|ing)?|attenuate|filtra(?:r|me|le|la|lo|las|los)?|pull",
        "trim(?:med|ming)?",
    ),
    "remove": (
        _ar("quit|sac|saqu|limpi|despej|carg|cargu|desembarr"), _ar("elimin|borr"), _ir("suprim"), "remov(?:e|es|ed|ing)|rid|kill|eliminat(?:e|es|ed|ing)|clean(?:s|ed|ing)?|clear|strip|delet(?:e|es|ed|ing)|eras(?:e|ed|ing)|lose|cure",
        _ar("mat"), "extrae(?:r|le|lo)?|desaz|desapare(?:zca|cer)|purge|wipe|trash|discard|scrub|destroy|descart(?:a|e|ar)" + _CLITICS, "deshazte|deshacerme|deshacerte|tira(?:r|lo|la|los|las)?",
    ),
    "add": (_ir("anad"), _ar("anad|agreg|agregu|aplic|apliqu|incorpor|inserta|ech|enchuf|carga"), "add(?:s|ed|ing)?|apply(?:ing)?|applies|insert|throw|slap|stick|use|using|load|drop|send(?:ing)?|introduce|dial", _er("met"), "usa(?:r|ndo|me|le)?|use[ns]?|manda(?:r|me|le|la|lo|las|los)?|envia(?:r|le|la|lo|las|los)?|colo(?:ca|que|car)" + _CLITICS, "inyecta(?:r|le)?|suma(?:r|le)?|mand[ae]\\w*"),
    "put": ("pon(?:e|er|ga|gas|iendo|gamos|es|en|dra)?" + _CLITICS, "pong[ao]s?" + _CLITICS, "put(?:s|ting)?|place|set(?:s|ting)?|leave|dej(?:a|e|ar|es|as)" + _CLITICS, _ar("configur|ajust|fij|situ|ubic|ubiqu|coloc|reubic|program"), "adjust|configure|keep|position"),
    "give": ("da(?:r|me|le|les|nos|melo|mela|ndo|s)?|de(?:le|les|n)|dale[s]?|dar(?:le|les)|giv(?:e|es|ing)|gimme"),
    "make": ("ha(?:z|zme|zle|zles|zlo|zla|zlos|zlas|zmelo|zmela|ga|gas|gan|gamos|ce|cer|ceme|cerle|cerlo|cerla|cerme|ceis|cerlos|cerlas)|ha(?:gale|galo|gala|galos|galas|game)|hac(?:e|er|erle|erlo|erla|elo|ela|elos|elas|ele|eme|es)|mak(?:e|es|ing)|creat(?:e|es|ing)|cre(?:a|e|ar|ame|arme)|gener(?:a|e|ar|ame|ate|ates)|do|prepar(?:a|e|ar|ame)|prepare|volver|vuelve(?:la|lo|las|los)|vuelvel[ao]s?|produce"),
    "want": ("quiero|querria|quisiera|necesito|necesita|necesitan|want(?:s|ed)?|need(?:s|ed)?|like|gustaria|busco|prefiero|falta(?:n)?|hace|lack(?:s|ing)?|could|missing|deserves|pide|merece"),
    "move": ("turn(?:s|ed|ing)?|bring(?:s|ing)?|push(?:es|ed|ing)?|pull(?:s|ed|ing)?|tak(?:e|es|ing)|mov(?:e|es|ing)|mueve|mueva|knock|crank|drag|tuck|trae(?:r|me|la|lo|las|los)?|lleva(?:r|la|lo|las|los)?|acerca(?:r|la|lo|las|los)?|empuja(?:r|la|lo)?|come|bump|back|sit|slide|pop"),
    "tame": ("tam(?:e|es|ing)|control(?:s|led|ling)?|" + _ar("control|dom|amans|contien|conten|frena|contenga|suaviz|suavic|apacigu") + "|soften(?:s|ing)?|smooth(?:s|en|ing)?|calm|ease|mitiga(?:r|te)?|mellow"),
    "fix": ("fix(?:es|ed)?|repair|improve|" + _ar("arregl|mejor|repar|corrig|corrij|solucion") + "|corregir(?:la|lo)?|enhance|polish"),
    "compress": (_ir("comprim"), "compress(?:es|ing)?|squash|squeeze|squish|compact(?:a|ar|ala|alo)|comp|glue|level", _ar("nivel"), "aplast(?:a|ar|e)" + _CLITICS),
    "limit": (_ar("limit"), "limit(?:s|ing)?"),
    "gate": ("gate(?:s|ing)?|gatea(?:r|la|lo)?",),
    "deess": ("deess(?:es|ing)?|desesea(?:r|la|lo)?",),
    "saturate": (_ar("satur|distorsion"), "saturat(?:e|es|ing)|distort(?:s|ing)?|overdrive|drive|dirty", _ar("ensuci")),
    "equalize": (_ar("ecualiz|ecualic|ecualis"), "equali[sz](?:e|es|ing)|eq"),
    "filter": ("filt(?:er|ers|ering)|" + _ar("filtr"),),
    "highpass": ("highpass(?:es|ing)?|hpf",),
    "lowpass": ("lowpass(?:es|ing)?|lpf",),
    "pan": ("pan(?:s|ned|ning)?|" + _ar("pane|panoramiz|panoramic"),),
    "center": ("cent(?:er|re)(?:s|ed|ing)?|" + _ar("centr"),),
    "widen": ("widen(?:s|ed|ing)?|" + _ar("ensanch|abr[ie]") + "|abr(?:e|a|ir|ele|elo|ela)|spread|amplia(?:r|la|lo|las|los)?"),
    "narrow": ("narrow(?:s|ed|ing)?|" + _ar("estrech|angost"),),
    "mute": (_ar("mute|silenci|enmudec|apag|call") + "|mut(?:e|es|ed|ing)|silence|apagu(?:e|es)" + _CLITICS + "|mutea" + _CLITICS,),
    "unmute": ("unmut(?:e|es|ing)|desmut(?:ea|ear|eala|ealo|e)|" + _ar("reactiv|desmute|desilenci"),),
    "solo": ("solo(?:ing|ed)?|solea(?:r|la|lo|las|los)?|isolate|aisla(?:r|la|lo|las|los)?",),
    "mix": (_ar("mezcl|mescl|mix(?:e)?|premezcl"), "mix(?:es|ing)?|remix|mixdown|blend|bounce down|combine|" + _ar("junt|combin")),
    "balance": ("balanc(?:e|es|ing)|" + _ar("balance|equilibr|compens"),),
    "master": (_ar("masteriz|masteric|masteris|remasteriz|masteri|mastere"), "master(?:s|ing)?|remaster"),
    "normalize": (_ar("normaliz|normalic|normalis"), "normali[sz](?:e|es|ing)"),
    "analyze": (_ar("analiz|analic|analis|examin|evalu|comprueb|comprob|chequ(?:e)?|revis|verifi(?:c|qu)|diagnosti(?:c|qu)|inspeccion"), "analy[sz](?:e|es|ing)|inspect|examine|check|assess|evaluate|diagnose|scan|verify", "mid(?:e|a|eme|ele|elo|ela|iendo|as|es|ela|an)|medir(?:la|lo|le|me)?|measur(?:e|es|ing)", "detect(?:a|ar|e|ame)?|calcul(?:a|ar|ate)"),
    "compare": (_ar("compar"), "compar(?:e|es|ing)"),
    "show": (_ar("muestr|ensen|dibuj|grafi(?:c|qu)|visualiz|visualic|mostr|represent|pint"), "show(?:s|ing)?|plot(?:s|ting)?|draw|display|visuali[sz](?:e|ing)|graph|render a picture", "muestra(?:me|melo)?|ver|see|pintame|ensename|mostrar(?:me)?|mostrame"),
    "tell": ("di(?:me|game|nos|gas)|decir(?:me)?|decime|tell(?:s)?|cuentame|sabes|report"),
    "match": ("match(?:es|ing)?|" + _ar("iguala?|imit|emparej|copi") + "|igual(?:a|ar|ala|alo|ale)|acopla"),
    "sound": ("suen(?:e|en|a|as|an|es)|sonar|sound(?:s|ing)?|sonando"),
    "export": (_ar("export|renderi[cz]|renderiz|renderi(?:c)?e|bounce|vuelc|volc") + "|export(?:s|ing|ed)?|render(?:s|ing)?|bounc(?:e|es|ing)|renderea(?:r|lo|la)?|bouncea" + _CLITICS + "|print|exprot|export(?:ame|amelo|amela)"),
    "save": (_ar("guard|grab|descarg|descargu") + "|sav(?:e|es|ing)|download|write|entreg(?:a|ar|ame|ue)|deliver"),
    "convert": ("conv(?:ierte|ertir|ierta|ierteme|iertelo|iertela|ierteme|ert|ertirlo|ertirla|erts|erting)" + _CLITICS + "|transcode|encode|codifica(?:r|lo|la)?|" + _ar("pas") + "|pasa(?:me|melo|mela|selo)|transform(?:a|ar|s)?|bajamelo"),
    "resample": (_ar("remuestre|resample"), "resampl(?:e|es|ing)|downsample|upsample"),
    "undo": ("deshaz|deshacer|deshace|deshaga|deshazlo|deshazme|deshacelo|deshag[ao]s|desace|undo(?:es|ing)?|revert(?:s|ing)?|revierte(?:lo)?|revertir(?:lo)?|rollback|desase|reviertel[oa]|revertil[oa]"),
    "fade": ("fade(?:s|d)?|fading|" + _ar("desvanec|fund"),),
    "trimming": (),
    "duck": ("duck(?:s|ing)?|" + _ar("agach"),),
    "touch": (_ar("toc|toqu|cambi|modifi(?:c|qu)|alter"), "touch(?:es|ing)?|chang(?:e|es|ing)|alter|mess|modify"),
    "close": ("cierr[ae](?:le|lo|la)?|cerrar(?:le|lo|la)?|close"),
    "reverberate": ("reverb(?:era|erar|erate)",),
    "clip": ("clip(?:s|ping|ped)|clipe(?:a|ando|an|ar)|recortando|satura|saturando|distorting|distorsiona(?:ndo)?|picando|peaking|pica"),
    "mask": ("tap(?:a|an|ando)|mask(?:s|ing)?|drown(?:s|ing)?|enmascara(?:n|ndo)?|overpower(?:s|ing)?|bur(?:y|ies|ying)|come(?:n)? terreno|pisa(?:n|ndo)?"),
}  # fmt: skip


def _verb_pattern() -> re.Pattern[str]:
    groups = []
    for name, patterns in VERBS.items():
        alternatives = (patterns,) if isinstance(patterns, str) else patterns
        if alternatives:
            groups.append(f"(?P<{name}>{'|'.join(alternatives)})")
    return re.compile("|".join(groups))


_VERB = _verb_pattern()
_NO_VERBS = frozenset(
    "cargas carga sobre solas dado dada nada corta cortas cero comes media medias tema todo toda mide pase pasos pasa paso pases "
    "abrasivo mates mato cale cara es de des den limites alto alta".split()
) - frozenset({"corta", "mide", "pase", "pasa", "carga"})  # fmt: skip


@lru_cache(maxsize=8192)
def verb_of(word: str) -> str | None:
    """The kind of order that a word gives, as a verb; None for every other word."""
    if len(word) > 20 or word in _NO_VERBS:
        return None
    match = _VERB.fullmatch(word)
    return match.lastgroup if match else None


# --------------------------------------------------------------------------------------------------------------- phrases
TARGETS: Mapping[str, str] = {
    "backing_vocal": "backing vocal|backing|background vocal|backup vocal|bgv|bvox|bv|coro|segunda voz|segundas voces|voz de fondo|voces de fondo|voz secundaria|voces secundarias|harmony|harmonie|armonia|armonia vocal|vocal harmony|voces de apoyo|voz de apoyo|doblaje|adlib|ad lib|ad-lib|choir|back vocal|harmony vocal|gang vocal|dobles de voz",
    "vocal": "voz|voce|vocal|vox|voice|voices|vos|lead vocal|lead vox|voz principal|voz lider|voz solista|main vocal|cantante|singer|canto|rap|acapella|a capella|acappella|vocalista|lead voice|boz|singing|rapper|rapero|vocales|locucion|locutor|narrador|narracion|narrator|voiceover|voice over|dialogo|dialogue|dialog|speaker voice|host|voz en off|vocal track|vocal lead|lead vocals",
    "kick": "bombo|kick|kik|bd|bass drum|kick drum|kickdrum|bassdrum|bonbo|bum",
    "snare": "caja|snare|snr|redoblante|tarola|clap|palma|snare drum|rim|rimshot",
    "hats": "hi hat|hihat|hat|hh|charle|charles|platillo|plato|cymbal|ride|overhead|overheads|oh|crash|contratiempo|high hat|hat cerrado|hihats",
    "percussion": "percusion|percussion|perc|conga|bongo|shaker|pandereta|tambourine|cajon|toms|tom|timbal|maraca|percu|cowbell|cencerro|tom tom|guiro|tambor",
    "drums": "bateria|drums|drum|beat|drumkit|drum kit|kit|drum bus|bus de bateria|bus de la bateria|drum buss|bata|bateira|drumbus|batería|drum group|grupo de bateria|ritmica|base ritmica|drum loop|loop de bateria|room de bateria",
    "lead": "lead|solista|melodia|melody|lead synth|synth lead|sinte lead|sinte principal|synth solista|sinte solista|lead guitar|guitarra solista|guitarra lead|guitarra principal|melodia principal|solo de guitarra|guitar solo",
    "bass": "bajo|bass|contrabajo|808|bass guitar|bass line|bassline|linea de bajo|sub bass|subbass|sub bajo|bajo electrico|upright bass|double bass|synth bass|bajo sintetizado|bajista",
    "guitar": "guitarra|guitar|gtr|acustica|ukelele|ukulele|guitarra acustica|guitarra electrica|acoustic guitar|electric guitar|rhythm guitar|guitarra ritmica|acoustic|guita|viola|guitara|gitarra|guitarra de acompanamiento|slide guitar|banjo|mandolin|mandolina",
    "piano": "piano|grand piano|piano de cola|electric piano|piano electrico",
    "keys": "teclado|keys|keyboard|synth|sinte|sintetizador|synthesizer|synthesiser|organ|organo|rhode|rhodes|wurli|wurlitzer|clavinet|arp|arpeggio|arpegio|hammond|pluck|arpegiador|arpeggiator|moog",
    "strings": "cuerda|string|strings|violin|violine|cello|chelo|orquesta|orchestra|string section|seccion de cuerda|violonchelo|orchestral",
    "brass": "metale|metal|brass|trompeta|trumpet|trombon|trombone|sax|saxo|saxofon|saxophone|horn|viento|vientos|flauta|flute|trompa|clarinete|clarinet|woodwind|seccion de viento|seccion de metales|brass section|horn section",
    "pad": "pad|colchon|pads|atmosfera|colchone",
    "fx": "fx|sfx|riser|fx sound|efectos de sonido|sound effect|ambience track|sound fx|foley|efecto de sonido|barrido|sweep",
    "master": "master|mix|mezcla|mastering|mix bus|master bus|bus master|bus de mezcla|bus principal|bus general|2 bus|two bus|stereo bus|master buss|mixbus|premezcla|mixdown|master track|canal master|pista master|salida principal|salida|main out|main output|main bus|bounce|mescla|stereo out|pista final|master fader|conjunto|mescla final",
    "song": "cancion|song|tema|track|pista|audio|sonido|sound|single|file|archivo|fichero|grabacion|recording|tune|instrumental|podcast|episodio|episode|album|ep|maqueta|demo|clip de audio|wave|temazo|rola|loop|beat final",
    "*": "todo|everything|all|toda|stem|every stem|all the stems|all of it|todo lo demas|lo demas|the rest|el resto|resto|rest|everything else|multitrack|multipista|todas las pistas|all tracks|all the tracks|every track|todos los stems|all stems|all of them|todas|todos los canales|todos|whole thing|the whole thing|cada pista|cada stem|los demas|las demas|all channels|all the channels|each stem|each track|whole mix|entire mix|toda la mezcla|toda la cancion|whole song|entire song",
}  # fmt: skip
"""`song`: the sound as a whole, which stands for the master unless it means the files themselves."""

EFFECTS: Mapping[str, str] = {
    "compressor": "compresor|compressor|compresion|compression|comp|compressing|compressor de bus|bus compressor|bus compression|compresion de bus|1176|la2a|la-2a|compresores|comprecion|compresion optica|glue compression|glue compressor|comprensor|comprension|leveler|leveller",
    "parallel": "compresion paralela|compresion en paralelo|parallel compression|parallel compressor|parallel compress|new york compression|compresion new york|ny compression|comprime en paralelo|compresor en paralelo|compresor paralelo|parallel comp",
    "limiter": "limitador|limiter|brickwall|brick wall|limitacion|limiting|maximizer|maximizador|brickwall limiter|true peak limiter|limitador true peak|limitador de pico",
    "gate": "gate|puerta|puerta de ruido|noise gate|puerta de ruidos|compuerta|compuerta de ruido|gating",
    "expander": "expander|expansor|expansion|downward expander|expansor de ruido",
    "deesser": "de esser|deesser|de ess|de-ess|deess|de eser|de-esser|desser|deser|deeser|de essing|de-essing|deessing",
    "multiband": "multibanda|multiband|compresor multibanda|multiband compressor|multiband compression|compresion multibanda|multi band|multi banda|compresor de tres bandas",
    "saturation": "saturacion|saturation|saturador|saturator|exciter|excitador|armonico|harmonic|drive|excitador armonico|harmonic exciter|analog color|color analogico",
    "tape": "cinta|tape|tape saturation|saturacion de cinta|tape emulation|emulacion de cinta|saturacion tipo cinta|saturacion a cinta|saturacion tape|cinta magnetica|reel",
    "tube": "valvula|valvulas|tube|tubo|tube saturation|saturacion de valvulas|saturacion de valvula|saturacion a valvulas|valve|valve saturation|lampara|preamp de valvulas|saturacion valvular|valvular|saturacion de tubo|saturacion a tubo|saturacion tubo",
    "distortion": "distorsion|distortion|overdrive|soft clip|soft clipping|soft clipper|clipper|fuzz|hard clip|bitcrush|clipping suave",
    "transient": "transient|transient shaper|transitorio|transitoria|transient designer|moldeador de transitorio|transient shaping|modelador de transitorio|disenador de transitorio|procesador de transitorio|shaper",
    "delay": "delay|eco|echo|slapback|slap back|slap|slap delay|slapback delay|delais|dilei|tape delay|tape echo|eco de cinta|delais|dela|retardo|retraso",
    "pingpong": "ping pong|pingpong|ping pong delay|ping-pong|delay ping pong|delay pingpong",
    "reverb": "reverb|reverberacion|rever|reber|reverv|reverberation|reberb|reverbe|reveb|verb|reve|rvb",
    "room": "room|sala|habitacion|room reverb|reverb de sala|reverb de habitacion|reverb room|reverb corta|short reverb|small room|reverb de cuarto|cuarto",
    "hall": "hall|hall reverb|reverb hall|reverb de hall|catedral|cathedral|reverb de catedral|reverb larga|long reverb|concert hall|sala de concierto|church|iglesia|auditorio|big reverb|large hall|hall grande|reverb grande|large reverb|huge reverb",
    "plate": "plate|placa|plate reverb|reverb plate|reverb de placa|reverb de plato|reverb de placas|plancha|reverb de plancha|plates",
    "chamber": "chamber|camara|chamber reverb|reverb chamber|reverb de camara|camara de eco|echo chamber|eco de camara",
    "highpass": "paso alto|pasa alto|pasaalto|pasaaltos|pasalto|high pass|highpass|low cut|lowcut|hpf|hp|corte de grave|corte de graves|corte bajo|corta grave|cortagraves|filtro de grave|filtro de graves|filtro de bajos|filtro paso alto|filtro pasa alto|filtro pasa altos|pasa altos|paso altos|high-pass|low-cut|rumble filter|subsonic filter|filtro subsonico|hi pass|hi-pass|hipass|high pass filter|low cut filter|corte en graves|highpass filter|corte por abajo|locut|filtro high pass|filtro highpass|pasaltos",
    "lowpass": "paso bajo|pasa bajo|pasabajo|pasabajos|low pass|lowpass|high cut|highcut|lpf|lp|hi cut|hicut|corte de agudo|corte de agudos|corta agudo|filtro de agudos|filtro de altos|filtro paso bajo|filtro pasa bajos|pasa bajos|paso bajos|low-pass|high-cut|low pass filter|high cut filter|corte en agudos|filtro|filter|cutoff|frecuencia de corte|cut off|corte del filtro|filter cutoff|lowpass filter|corte por arriba|filtro lowpass|filtro low pass|filtro pasabajos",
    "notch": "notch|notch filter|filtro notch|ranura|filtro de ranura|rechazo de banda|band stop|bandstop|muesca",
    "hum": "zumbido|hum|ground loop|mains hum|hum de masa|hum de tierra|ruido de red|ruido electrico|zumbidos|electrical hum|ruido de masa|buzz",
    "eq": "eq|ecualizador|equalizer|ecualizacion|equalization|ecu|parametrico|parametric eq|parametric|equaliser|eq parametrico|ecualizador parametrico|bell|campana|eq curve|curva de eq|peak filter|banda|band",
    "shelf": "shelf|shelving|estante|shelve|meseta",
    "low_shelf": "low shelf|lowshelf|shelf bajo|shelf de graves|shelf grave|low shelving|shelving bajo|low-shelf|shelving de graves|estante de graves|estante bajo|bass shelf|shelf en graves",
    "high_shelf": "high shelf|highshelf|shelf alto|shelf de agudos|shelf agudo|high shelving|shelving alto|high-shelf|shelving de agudos|estante de agudos|estante alto|treble shelf|air shelf|shelf en agudos",
    "width": "anchura|width|stereo width|amplitud estereo|anchura estereo|imagen estereo|stereo image|ancho estereo|amplitud|widener|stereo widener|estereo|apertura estereo|stereo field|campo estereo|imagen|ensanchador|spread|ensanchador estereo|stereo spread|ancho",
    "mono": "mono|monofonico|mono sum|suma mono|suma a mono",
    "stereo": "stereo|a estereo|en estereo",
    "mid_side": "mid side|mid/side|m s|ms processing|mid-side|m/s|medio lado",
    "sides": "side|lados|los lados|lateral|laterales|los laterales|the sides|sides|side channel|canal side|canal lateral",
    "middle": "mid channel|canal mid|canal central|centro de la imagen",
    "fade_in": "fade in|fundido de entrada|fade de entrada|fade-in|fadein|entrada gradual|entrada suave|fundido inicial|aparicion gradual|fundido al inicio|fundido al principio",
    "fade_out": "fade out|fundido de salida|fade de salida|fade-out|fadeout|fundido final|fundido al final|desvanecimiento|salida gradual|fundido de cierre",
    "fade": "fade|fundido|crossfade|fundidos",
    "trim": "trim|silencio|silence|intro|principio silencioso|silencios|tail|cola|final silencioso|arranque",
    "resample": "sample rate|frecuencia de muestreo|tasa de muestreo|muestreo|sampling rate|samplerate|resampling|remuestreo|sampleo",
    "dither": "dither|dithering|diter|tpdf|tramado",
    "normalize": "normalizacion|normalization|normalizado|normalisation",
    "sidechain": "sidechain|side chain|side-chain|cadena lateral|ducking|sidechaining|bombeo|pumping|side chained|sidechained|side-chained",
    "pan": "pan|paneo|panorama|panoramica|panoramico|panning|pano",
    "volume": "volumen|volume|nivel|level|fader|ganancia|gain|loud|fuerte",
    "noise": "ruido|noise|ruido de fondo|background noise|room noise|soplido|ruidito|ruidos|hiss|ruido de sala|floor noise|noise floor|siseo de fondo|ruido blanco|tape hiss|soplo|suelo de ruido|denoise|ambient noise|ruido ambiente|bleed|sangrado|filtracion|spill",
    "rumble": "rumble|retumbe|ruido grave|low rumble|subgrave sobrante|vibracion|viento en el micro|wind noise|golpe de micro|ruido de manejo|handling noise|trafico",
    "plosive": "plosiva|plosive|pop de microfono|golpes de p|popping|pe explosiva|p's|pops|petardeo|golpes de pe|golpes de aire",
    "mud_room": "eco de la sala|eco de sala|eco de la habitacion|roominess|reflexiones|room sound|sonido de sala|sonido a sala",
    "unavailable": "chorus effect|flanger|phaser|autotune|auto tune|pitch|vocoder|tono de la voz|pitch correction|afinacion|tremolo|vibrato|pitch shift|time stretch|ring mod|efecto chorus|click|clic|chasquido|crackle|chisporroteo|respiracion|breath|afina|corrige la afinacion|tune|afinar|transpose|transpon|chorus|reverse|invierte|quantize|cuantiza|cuantizar|ritmo",
}  # fmt: skip

BANDS: Mapping[str, tuple[str, float, float, str]] = {
    # name: words, from, to (Hz), canonical. Spans of the usual charts: B. Owsinski, The Mixing Engineer's Handbook (six bands); B. Katz,
    # Mastering Audio (sub, bass, midrange, treble, air).
    "sub": ("sub|subgrave|sub grave|sub bass frequencies|subs|sub low|sub bajo frecuencia|subfrecuencia|subsonico|subsonic|sub low end|superbajos", 20.0, 60.0, "sub"),
    "low": ("grave|graves|low end|low frequencies|low frequency|frecuencias bajas|baja frecuencia|bajas frecuencias|lows|bajos|bottom end|bottom|low|low-end|frecuencia grave|frecuencias graves|parte baja|lowend|zona baja|extremo grave|low freqs|bass frequencies|bass end|grabes", 40.0, 150.0, "low"),
    "low_mid": ("medio grave|medios graves|graves medios|low mid|low mids|low-mid|low-mids|low midrange|medios bajos|medio bajo|lower mid|lower mids|mediograve|mediograves|lo mids|lower midrange|bajos medios|zona media baja|medias bajas", 200.0, 500.0, "low_mid"),
    "mid": ("medio|medios|mid|mids|midrange|frecuencias medias|mid range|zona media|mid frequencies|rango medio|medias frecuencias|middle frequencies|mid-range", 500.0, 2_000.0, "mid"),
    "high_mid": ("medio agudo|medios agudos|medios altos|high mid|high mids|high-mid|high-mids|upper mid|upper mids|upper midrange|agudos medios|medioagudo|medio alto|hi mids|high midrange|zona media alta|medias altas|upper-mids|upper-mid", 2_000.0, 5_000.0, "high_mid"),
    "high": ("agudo|agudos|treble|highs|high end|high frequencies|high frequency|frecuencias altas|altas frecuencias|altos|top end|top|high|high-end|frecuencias agudas|parte alta|treble end|zona alta|high freqs|highend|top-end|frecuencia aguda|brillantes", 6_000.0, 16_000.0, "high"),
}  # fmt: skip

PARAMS: Mapping[str, str] = {
    "threshold": "umbral|threshold|thresh|threshhold|humbral|thr",
    "attack": "ataque|attack|atack|atk|ataq",
    "release": "release|relajacion|liberacion|recuperacion|rel|releas|relase|recovery|rls|caida del compresor",
    "ratio": "ratio|proporcion|relacion|rate ratio|relacion de compresion|compression ratio",
    "knee": "knee|rodilla|codo",
    "makeup": "makeup|make up|makeup gain|make-up|ganancia de compensacion|ganancia de salida|output gain|compensacion|makeup de|ganancia de makeup|make up gain|make-up gain|gain de salida",
    "reduction": "reduccion|reduction|gain reduction|reduccion de ganancia|gr|reducciones|maxima reduccion|max reduction|reduccion maxima|de reduccion|atenuacion|range|rango",
    "mix_share": "mix share|blend|dry wet|dry/wet|paralelo|in parallel|en paralelo|parallel|proporcion de mezcla",
    "wet": "wet|mojado|humed[oa]|humedad|wetness|proporcion wet|de mezcla|de mix|de efecto|senal procesada|mezcla del efecto",
    "dry_share": "dry signal|senal seca",
    "decay": "decay|cola|tail|rt60|caida|decaimiento|duracion|length|decay time|tiempo de decay|reverb time|tiempo de reverb|tiempo de reverberacion|tiempo de caida|tiempo de decaimiento|long|larg[oa]",
    "predelay": "predelay|pre delay|pre-delay|predelei|pre delays|prerretardo|preretardo|pre retardo",
    "feedback": "feedback|realimentacion|repeticion|repeticiones|retroalimentacion|regeneracion|repeats|repeat|feedbacks|retroalimentado|fb",
    "q": "q|factor q|ancho de banda|bandwidth|factor de calidad|resonancia|resonance|campana q|cue",
    "ceiling": "techo|ceiling|tope|pico real|true peak|true-peak|pico verdadero|out ceiling|tp|truepeak|picos reales|peak ceiling|techo real|nivel maximo|limite de pico|pico maximo|max peak|pico|peak|maximo de pico",
    "drive": "drive|empuje|input gain|ganancia de entrada|push|entrada",
    "lookahead": "lookahead|look ahead|look-ahead|anticipacion|pre lectura",
    "hold": "hold|mantenimiento|sostenimiento|retencion|tiempo de hold",
    "hysteresis": "histeresis|hysteresis",
    "sustain": "sustain|sostenido|sosten|body of the transient|cola del golpe",
    "slope": "pendiente|slope|steep|inclinacion",
    "loudness": "loudness|sonoridad|integrated|integrada|integrado|loudness objetivo|volumen percibido",
    "max": "maximo|max|como mucho|at most|como maximo|maxima|no more than|no mas de|sin pasar de|que no pase de|que no pasen de|que no pase nada|que no pase nada de|nothing above|let nothing through|maximum|up to|tope de|without exceeding|sin exceder|sin superar|que no supere|que no exceda|no mas que|nunca mas de|never more than|not exceeding|without going over|sin pasarte de|not above|no louder than|que no suba de|without going above|keep under|keep it under|por debajo de pico|stay under",
    "tempo": "tempo|bpm|beats per minute",
    "quality": "bitrate|bit rate|tasa de bits|tasa|calidad|quality",
    "bits": "profundidad de bit|profundidad de bits|bit depth|resolucion|profundidad",
    "bands": "bandas|bands|banda",
    "crossover": "crossover|cruce|frecuencia de cruce|crossovers|cruces|puntos de cruce",
    "freq": "frecuencia|frequency|freq|centered at|centrado en|centrada en",
    "damping": "damping|amortiguacion|amortiguamiento",
    "width_param": "al ancho",
}  # fmt: skip

PLACES: Mapping[str, str] = {
    "left": "izquierda|left|izda|izq|izquierdo|l|lado izquierdo|left side|zurda|lft",
    "right": "derecha|right|dcha|derecho|r|lado derecho|right side|der|rgt",
    "center": "dead center|dead centre|centro|center|centre|al medio|en medio|en el medio|middle|al centro|the middle|mitad",
    "hard": "hard|full|fully|all the way|del todo|totalmente|a tope|por completo|extremo|completamente|completely|total|toda a la|todo a la|full a la|far|a muerte|bien a la",
    "both_sides": "a los lados|a ambos lados|a los costados|to the sides|both sides|on both sides|out to the sides|un lado y otro|cada lado|a cada lado|bien abiertas|bien abiertos|abiertas a los lados|abiertos a los lados|a los extremos|hard left and right|left and right|izquierda y derecha|l and r|l y r|wide apart|bien separadas|opposite sides",
    "halfway": "half|halfway|a medias|half way|medio a la|mitad a la|medio camino",
    "slightly": "ligeramente|slightly|un poco|un poquito|a bit|a little|tantito|un pelin|levemente|un tanto|una pizca|a touch|just a touch|a hair|a tad|apenas|sutilmente|sutil|subtle|subtly|suave|suavemente|un toque|un toquecito|un pelo|gently|gentle|algo|ligero|ligera|light|lightly|touch|tad|hair|pinch|toque|toquecito|a smidge|smidge|un chin|un chinchin|poquito|poco|poca|little|somewhat|un puntito|un punto|pelin|kiss|slight|pizca|un poquitin",
    "strongly": "mucho|mucha|a lot|bastante|much|way|lots|muy|very|un monton|heavily|heavy|fuertemente|really|drastically|a saco|considerablemente|strongly|tons|ton|hugely|un huevo|harto|de verdad|massively|loads|mogollon|seriously|a ton|mas que bastante|super|re|agresiv[oa]|agressive|aggressive|aggressively|bien de|significantly",
    "more": "has no|have no|no tiene|no tienen|doesn't have|don't have|le falta|le faltan|me falta|falta|faltan|mas|more|extra|another|otro|otra|further|again|additional|un pelin mas|some|algo de|algo mas",
    "less": "menos|less|fewer|meno|not so|no tan|not as|no tanto|not that|not too|no muy|no demasiado|not very|tan",
    "too": "demasiado|demasiada|too|excesiv[oa]|exceso de|exceso|sobra|sobran|too much|overly|excess|excessive|mucho mas de la cuenta|de mas|super|excesivamente|demasiad[oa]|sobrante|so much",
    "up": "up|arriba|upwards|pa arriba|para arriba|hacia arriba|upward",
    "down": "down|abajo|downwards|pa abajo|para abajo|hacia abajo|downward",
    "front": "adelante|al frente|forward|upfront|up front|delante|in front|primer plano|mas cerca|closer|mas presente en la mezcla|in your face|hacia delante|on top of the mix|on top|mas al frente|out front|pa delante|encima de la mezcla",
    "behind": "atras|al fondo|behind|background|further back|hacia atras|detras|de fondo|en segundo plano|mas lejos|pa atras|to the back|further away|farther back|back in the mix|into the background|mas al fondo",
    "below": "por debajo de|debajo de|below|under|bajo los|por abajo de|debajo|menor de|menores de|inferiores a|inferior a|lower than|beneath|para abajo de|abajo de|hasta los|por debajo|less than|menos de los|underneath|hacia abajo de|inferiores",
    "above": "por encima de|encima de|above|over|superiores a|superior a|mayores de|a partir de|desde|por arriba de|arriba de|higher than|from|mas alla de|upwards of|starting at|por encima|encima|beyond|mayor de|mas de los|superiores|past",
    "around": "around|alrededor de|sobre los|cerca de|near|entorno a|en torno a|por los|hacia los|about|circa|por ahi de|somewhere around|rondando",
}  # fmt: skip
"""Where to and how much: sides, amounts, directions, and the edges of bands."""

PLATFORMS: Mapping[str, str] = {
    "spotify": "spotify|espotifai|spoti",
    "apple_music": "apple music|apple|itunes|apple musica",
    "youtube": "youtube|yt|you tube|yutub|yutu",
    "tidal": "tidal",
    "amazon_music": "amazon music|amazon|alexa",
    "podcast": "podcast|podcasts|spoken word|audiolibro|audiobook|plataformas de podcast",
    "ebu_r128": "ebu r128|ebu r 128|ebu|r128|r 128|broadcast|television|tv|radiodifusion|emision|tele|tv europea|europe broadcast|emitir|broadcast europeo|radio y tv|la tele",
    "atsc_a85": "atsc|a 85|a85|atsc a 85|atsc a85|a/85|american tv|us tv|television americana|us broadcast|tv americana|tv estadounidense",
    "cd": "cd|disco compacto|compact disc|redbook|red book|cds",
    "streaming": "streaming|plataforma|plataformas|soundcloud|deezer|digital platforms|streaming services|plataformas digitales|servicios de streaming|online|redes|bandcamp|plataformas de streaming|streaming platforms|tiktok|instagram|distribucion digital",
}  # fmt: skip

FORMATS: Mapping[str, str] = {
    "wav": "wav|wave file|wave|wab|guab|uav|pcm|bwf|onda wav|wavs", "flac": "flac|lossless|sin perdida|sin perdidas|flak|flacs", "mp3": "mp3|emepetres|mp 3|mp3s",
    "ogg": "ogg|vorbis|ogg vorbis", "aiff": "aiff|aif", "aac": "aac", "m4a": "m4a|alac", "opus": "opus", "wma": "wma",
}  # fmt: skip

FILES: Mapping[str, str] = {
    "file": "archivo|fichero|file|asset|grabacion|toma|recording|upload|subida|bounce anterior|render|take|sample|tomas|bounce|backup|copia de seguridad|copia|backups|exportacion|export|exports|wav|mp3|flac|carpeta|folder|version|versiones",
    "project": "proyecto|project|sesion|session|workspace|biblioteca|library",
    "stem": "stem|stems|pista|track|canal|channel|tracks|pistas|audio|cancion|song|mezcla|mix|tema|master",
}  # fmt: skip
"""What can be deleted as such: only a noun of these that an explicit verb of deletion is followed by."""

PICTURES: Mapping[str, str] = {
    "spectrogram": "espectrograma|spectrogram|espectograma|spectogram|sonogram|sonograma",
    "waveform": "forma de onda|waveform|wave form|onda|formas de onda|oscilograma|la onda",
    "loudness": "curva de loudness|curva de sonoridad|loudness over time|loudness graph|grafica de loudness|grafico de loudness|sonoridad en el tiempo|loudness curve|loudness plot|grafica de sonoridad|evolucion del loudness|loudness history|grafica de volumen|loudness en el tiempo|lufs over time|loudness a lo largo del tiempo",
    "spectrum": "grafica del espectro|spectrum plot|espectro|spectrum|grafico del espectro|frequency plot|curva de frecuencia|frequency graph|analizador de espectro|frequency response",
    "picture": "grafica|grafico|imagen|picture|plot|graph|dibujo|visualizacion|chart|image|diagrama",
}  # fmt: skip

MEASURES: Mapping[str, str] = {
    "report": "informe|report|reporte|diagnostico|analisis|analysis|medicion|mediciones|medidas|measurements|estadisticas|stats|chequeo|que le pasa|what's wrong|what is wrong|que problemas tiene|que problema tiene|que tal esta|que tal suena|how does it sound|what's up with|diagnosis|check up|checkup|revision",
    "loudness": "what lufs|que lufs|que sonoridad|que loudness|lufs|sonoridad|loudness|lkfs|volumen integrado|how loud|que tan alto|que tan fuerte|cuan fuerte|lu|nivel integrado|loudness integrado|integrated loudness|loudness range|lra|rango de sonoridad|lufs integrados",
    "true_peak": "pico real|true peak|true-peak|picos|pico|peak level|peak|peaks|dbtp|pico maximo|inter sample peak|truepeak",
    "clipping": "clipping|clipeo|recorte digital|clip|clipea|clips|clipeando|distorsion digital|overs|clipean|clipped|satura|saturando|saturada|clippea|clipeada|recortes",
    "phase": "fase|phase|correlacion|correlation|compatibilidad mono|mono compatibility|mono compatible|phase correlation|mono compat|problemas de fase|compatible en mono|phase issue|compatible con mono|in phase|en fase|polarity",
    "dynamics": "rango dinamico|dynamic range|crest|crest factor|factor de cresta|dinamica|dynamics|dr|plr|rms",
    "key": "tonalidad|musical key|tono|what key|que tono|en que tono|escala|tonality|the key|key of|que tonalidad|en que tonalidad|what's the key|que nota|in what key|which key",
    "tempo": "tempo|bpm|beats per minute|pulsaciones|velocidad del tema|pulso|que tempo|a que tempo|what tempo|que bpm|que velocidad",
    "spectrum": "espectro|spectrum|balance tonal|tonal balance|frequency balance|contenido en frecuencia|balance de frecuencias|frecuencia fundamental|tonal",
    "noise_floor": "ruido de fondo|noise floor|nivel de ruido|suelo de ruido|piso de ruido",
    "dc_offset": "dc offset|offset|continua|dc",
    "duration": "duracion|duration|how long|cuanto dura|longitud|dura",
    "headroom": "headroom|margen|espacio libre|cuanto margen",
    "levels": "nivel|niveles|levels|level",
    "width": "anchura estereo|stereo width|imagen estereo|stereo image",
}  # fmt: skip

SPECIAL: Mapping[str, str] = {
    "undo": "vuelve atras|volver atras|go back|como estaba|como estaba antes|back to how it was|back to how it were|the way it was|how it was before|vuelve al anterior|da marcha atras|marcha atras|roll back|roll that back|take that back|take it back|paso atras|un paso atras|dos pasos atras|step back|cancela lo ultimo|cancela eso|anula lo ultimo|anula eso|anula el cambio|anula el ultimo cambio|lo anterior estaba mejor|era mejor antes|estaba mejor antes|quita lo ultimo|quita eso ultimo|borra lo ultimo|borra el ultimo cambio|elimina el ultimo cambio|descarta el ultimo cambio|descarta lo ultimo|quita el ultimo cambio|last change|ultimo cambio|last edit|last step|ultimo paso|ultimos pasos|last steps|previous version|version anterior|estado anterior|previous state|lo de antes|me arrepiento|undo|ctrl z|control z|ctrl+z|cancel that|cancel the last|put it back|ponlo como antes|como antes|dejalo como antes|never mind that|forget that last|olvida lo ultimo|deshacer|ultima accion|last action|last move|ultimos cambios|last changes|ultimo efecto que pusiste|ultima modificacion|ultima edicion|lo que acabas de hacer|what you just did|that last one|it was better before|sounded better before|sonaba mejor antes|prefiero como estaba|regresa al anterior|regresa como estaba|ultimo ajuste|last tweak|last thing you did|lo ultimo que hiciste|step backward|vuelta atras|dar marcha atras|go one step back|previous mix|mezcla anterior",
    "reference": "referencia|reference|ref|ref track|tema de referencia|pista de referencia|reference track|cancion de referencia|reference song|track de referencia|sound like|suene como|sonar como|sounds like|suene igual que|suene parecido a|al estilo de|in the style of|similar a|suena como la|referncia|refe|reference mix|reference master|as the reference|mezcla de referencia|comercial de referencia|sounding like|parecido a|like the record|mismo sonido que|same sound as|like this song|como esta cancion|como este tema|que se parezca a|parezca a",
    "quiet_complaint": "no se oye|no se escucha|no se entiende|casi no se oye|apenas se oye|se oye poco|se escucha poco|se pierde|se pierden|can't hear|cant hear|cannot hear|can barely hear|barely hear|hard to hear|buried|enterrad[oa]|perdid[oa]|lost|too quiet|too low|too soft|muy baj[oa]|muy bajit[oa]|demasiado baj[oa]|muy floj[oa]|very quiet|se quedan atras|se queda atras|se quedan cortas|se queda corta|se queda corto|muy suave|very low|demasiado floj[oa]|too far back|esta baj[oa]|esta bajit[oa]|no la oigo|no lo oigo|no oigo|no escucho|apenas oigo|apenas escucho|apenas se escucha|casi no se escucha|not loud enough|not cutting through|doesn't cut through|needs to cut through|gets lost|getting lost|is lost|inaudible|muy atras|demasiado atras|muy tapad[oa]|hundid[oa]|poco volumen|no se distingue|muy escondid[oa]|tapad[oa]|escondid[oa]|sits too far back|a bit low|a little low|a bit quiet|a little quiet|un poco baj[oa]|algo baj[oa]|no destaca|se oye bajit[oa]|se oye baj[oa]|se oye muy poco",
    "loud_complaint": "too loud|muy alt[oa]|demasiado alt[oa]|muy fuerte|demasiado fuerte|very loud|too hot|sobresale|sobresalen|too high in the mix|demasiado presente|too upfront|too much in front|se come|se comen|destaca demasiado|destacan demasiado|stands out too much|stick out|sticks out|sticking out|a bit loud|a little loud|un poco alt[oa]|algo alt[oa]|un pelin alt[oa]|esta alt[oa]|estan alt[oa]|too prominent|overpowering|too forward|alta de mas|alto de mas|pasad[oa] de volumen|muy adelante|demasiado adelante|demasiado delante|way too loud|bit too loud|un poco fuerte|esta fuerte|muy presente",
    "louder": "mas alt[oa]|mas fuerte|louder|mas volumen|mas nivel|more volume|more level|mas arriba|mas ganancia|more gain|higher in the mix|mas presente en la mezcla|mas audible|hotter|que se oiga mas|se oiga mas|se escuche mas|que destaque mas|destaque|que resalte|resalte|que se oiga|que se escuche|se oiga|se escuche|that it is heard|more prominent|mas prominente|stand out|stands out|que sobresalga|mas alto en la mezcla|mas fuertes|mas altit[oa]",
    "softer": "mas baj[oa]|quieter|menos volumen|mas suave de volumen|menos nivel|less volume|less level|mas bajit[oa]|mas floj[oa]|lower in the mix|menos fuerte|menos alt[oa]|less loud|mas discret[oa]|se oiga menos|se escuche menos|menos presente en la mezcla|mas tenue|menos ganancia|less gain|tone down|mas atenuad[oa]|que se oiga menos|not so loud|no tan fuerte|no tan alt[oa]|not as loud",
    "keep": "dejal[oa] como esta|dejal[oa] asi|deja como esta|deja igual|leave alone|as it is|as they are|as is|tal cual|tal como esta|intact[oa]|leave it alone|leave them alone|igual que esta|alone|en paz|quiet[oa]|como esta|asi como esta|como estan|sin cambios|unchanged|untouched|as-is|stay put|stays|stay",
    "except": "excepto|except|except for|salvo|menos|apart from|aparte de|a excepcion de|quitando|but not|other than|with the exception of|exceptuando|excluding|con excepcion de|leaving out|aside from|bar|all but",
    "neg": "no|not|don't|dont|never|nunca|sin|without|jamas|nada de|avoid|evita|evitando|evitar|do not|didn't|tampoco|neither|nor|ni|doesn't|shouldn't|won't|skip|olvidate de|olvida|forget|ningun|ninguna|isn't|instead of|rather than|en vez de|en lugar de|deja de|stop|mustn't|can't|never mind|ignora|ignore|no hace falta|no need|no quiero|i don't want|salta|evites|no need to|no me|lejos de|nothing|nothing to|que no|aint|ain't|cannot|hold the|omit|omite|saltate|pasa de",
    "affirmed": "por que no|why don't you|why don't we|why not|no solo|no solamente|not only|no olvides|don't forget to|don't forget|no te olvides de|no dejes de|sin duda|sin embargo|no obstante|sin miedo|no problem|don't hesitate to|no pares de|no dudes en|ya no|no importa|i can't believe|if you don't mind|si no te importa|no se|no no|don't be shy|no te cortes|sin cortarte|anda ya|please don't mind",
    "only": "solo|solamente|only|just|unicamente|nomas|nada mas|tan solo|simplemente|simply|but|sino|pero|pero si|si no",
    "dislike": "no me gusta|no me gustan|i don't like|i dont like|me molesta|me molestan|me sobra|me sobran|sobra|sobran|i hate|odio|hate|no quiero oir",
    "listen": "oir|escuchar|hear|listen to|listen|oigamos|escuchemos|oiga|escuche|oigo solo|escucho solo",
    "back_in": "vuelve a poner|vuelve a meter|bring back|recupera|trae de vuelta|pon otra vez|pon de nuevo|put back|back on|devuelve|vuelve a activar|turn back on|otra vez",
    "in_solo": "en solo|in solo|solo mode|modo solo",
    "question": "que es|what is|what are|what's|how do i|how does|how do|how should|como se|como funciona|que hace|what does|para que sirve|por que|why|cuando|when should|when do|explain|explica|explicame|que significa|what do you|diferencia|difference|should i|deberia|debo|is it ok|es mejor|cual es|which is|whats|what would|que opinas|recommend|recomiendas|que ratio|que compresor|como puedo|can i|puedo|se puede|tengo que|que frecuencia|how can i|how to|como hago|is it better|hace falta|do i need|how much|cuanta",
    "how_many": "cuantos|cuantas|cuanto|cuanta|how many|how much|how loud|how long|que tan|what is the|what's the|cual es el|cual es la|que nivel|is it|is the|is there|are there|are the|does the|does it|do the|hay|esta|estan|tiene|tienen|is my|suena|que picos|que pico|que rango|what level|has|have|que frecuencias",
    "better": "mejor|better|nicer|chulo|guay|bonito|cool|great|professional|profesional|amazing|bien|good|perfecto|perfect|magic|magia|decente|nice|epico|epic|increible|algo con eso|something|algo|rar[oa]|weird|strange|fe[oa]|ugly|horrible|fatal|cana|chicha|feeling|mojo|funny|off|mal|bad|awful|terrible|life|vida|rollo|salsa|sabor|flavor|vibe|interesting|interesante|diferente|different|otro rollo|pro|sucks|trabajo|lo tuyo|lo que puedas|your thing",
    "last_dither_no": "sin dither|no dither|without dither|sin dithering|without dithering|no dithering|sin tpdf|dither off|dither no|sin el dither|sin ningun dither|dither none|without any dither",
    "stems_out": "por separado|separado|separados|separadas|individual stems|stems out|each stem|stems separately|cada stem|separately|individually|pistas separadas|los stems|the stems|all stems|stems sueltos|stems individuales|multipista|multitrack|as stems|en stems|separated|pista por pista",
    "all_effects": "todos los efectos|all effects|all the effects|every effect|toda la cadena|the whole chain|effects chain|cadena de efectos|all plugins|todos los plugins|los efectos|the effects|las reverbs|all processing|el procesado|todo el procesado|el efecto|the effect|inserts",
    "preview": "preview|previa|vista previa|preescucha|escucha previa|avance|previsualizacion|adelanto",
    "audio": "audio|sonido|sound|musica|music|musical|plugin|daw|efecto|effect|decibelio|decibel|hercio|microfono|microphone|auriculares|headphones|altavoz|monitor|studio|estudio|lufs|frecuencia|frequency|estribillo|estrofa|verse|bridge|puente|chorus|solo|oscilador|oscillator|lfo|wavetable|sampler|adsr|envelope|envolvente|granular|fm|midi|surround|rms|headroom|stereo|groove|riff|acorde|chord|nota|ritmo|producer|productor|playback|concierto",
    "auto": "automatic[oa]|automatica|automatic|automaticamente|automatically|auto|equilibrad[oa]|balanced|rough|basic[oa]",
}  # fmt: skip

BEATS: Mapping[str, str] = {
    "4": "whole note|redonda", "2": "half note|blanca", "1": "quarter note|quarter|negra|una negra|1/4|crotchet", "0.5": "eighth note|eighth|corchea|1/8|octavo|quaver",
    "0.75": "dotted eighth|corchea con puntillo|dotted eighth note|dotted quaver", "0.25": "sixteenth note|sixteenth|semicorchea|1/16", "1.5": "dotted quarter|negra con puntillo",
    "0.3333333333333333": "eighth triplet|tresillo de corchea|tresillo|triplet",
}  # fmt: skip
"""Lengths of notes in quarters."""
BEATS_BY_TEXT = {"1/4": "1", "1/8": "0.5", "1/16": "0.25", "1/2": "2"}


def expanded(phrases: str) -> Iterable[str]:
    """Each phrase of a line, both of its endings."""
    for phrase in phrases.split("|"):
        if "[oa]" in phrase:
            yield phrase.replace("[oa]", "o")
            yield phrase.replace("[oa]", "a")
        else:
            yield phrase


def key_of(phrase: str) -> tuple[str, ...]:
    """A phrase as the words it is looked up by."""
    return tuple(singular(word) for word in re.findall(r"[a-z']+|\d+", phrase))
