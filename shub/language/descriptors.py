"""Words for how it sounds, in Spanish and English: the part of the spectrum (or of time, or of the image) that each speaks of.

Only range and sign are taken from elsewhere; the words, the centre frequencies and the amounts are ours. Sources, by their letter:

* S  SocialFX (Zheng, Seetharaman, Pardo, ACM Multimedia 2016): equalizer settings with words of hundreds of people.
* D  SAFE-DB (Stables et al., ISMIR 2014): settings of equalizers and compressors with words of their users (warm, bright first of all).
* O  B. Owsinski, The Mixing Engineer's Handbook: charts of frequencies, "magic frequencies", words of engineers.
* K  B. Katz, Mastering Audio: chart of subjective words over the spectrum.
* I  R. Izhaki, Mixing Audio: equalizers, compressors, stereo image.

`sign` is that of the gain which makes a sound *more* so; `is_fault`: the bare word is a complaint ("suena turbio"), and less of it is meant.
"""

from dataclasses import dataclass
from typing import Literal

Means = Literal[
    "peak", "low_shelf", "high_shelf", "deesser", "attack", "sustain", "compress", "saturate", "reverb", "dry", "width", "gate", "telephone",
    "highpass",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """`centre_hz` is where an equalizer is put when nothing else was said."""

    term: str
    words: str
    means: Means
    low_hz: float | None = None
    high_hz: float | None = None
    sign: int = 1
    is_fault: bool = False
    source: str = "O"
    centre_hz: float | None = None


def _peak(
    term: str,
    low: float,
    high: float,
    sign: int,
    source: str,
    words: str,
    *,
    fault: bool = False,
    at: float | None = None,
) -> Word:
    return Word(term, words, "peak", low, high, sign, fault, source, at)


def _fault(term: str, low: float, high: float, source: str, words: str, *, at: float | None = None) -> Word:
    return Word(term, words, "peak", low, high, 1, True, source, at)


DESCRIPTORS: tuple[Word, ...] = (
    # --- too much of something
    _fault("muddy", 200.0, 500.0, "S O", "mud|muddy|muddier|muddiness|barro|barros|turbi[oa]|embarrad[oa]|fangos[oa]|turbiedad|turbieza|lodo|lodos[oa]|mugre|borros[oa]|enturbiad[oa]|emborronad[oa]|pastos[oa]|embarrada|sucio en graves|murky|muck|mush|mushy|low mid build up|low mid buildup|acumulacion de graves|barrillo|emplast[oa]|masa de graves|emboscad[oa]|bola de graves|bola|confus[oa]|embolad[oa]", at=300.0),
    _fault("boxy", 300.0, 900.0, "O K", "boxy|boxiness|boxier|acartonad[oa]|carton|enlatad[oa]|cajos[oa]|sonido a caja|sonido de caja|a caja|encajonad[oa]|cardboard|boxey|cartoniz|cartonos[oa]|a carton|sonido a carton|encajonamiento|caja de carton|caja de zapatos", at=450.0),
    _fault("boomy", 80.0, 250.0, "O K", "boomy|boominess|boom|retumbante|retumba|retumban|booming|bombastic[oa]|retumbos[oa]|retumbo|retumbar|bum bum|resonancia grave|resonancias graves|boomier|tubb[oy]|tubby|resuena|resonante|resonancia", at=125.0),
    _fault("harsh", 2_000.0, 5_000.0, "S O", "harsh|harshness|harsher|aspereza|asper[oa]|hirientes|hiriente|chillon|chillona|chillones|chillonas|estridente|estridencia|estridencias|dur[oa]|dureza|agresiv[oa] de agudos|strident|piercing|penetrante|hiere|abrasiv[oa]|punzante|ear piercing|painful|molest[oa]|molesta|rasp[oa]s[oa]|brittle|quebradiz[oa]|fizzy|hurts|fatiga|fatigante|fatiguing|cortante|edgy|edge|spiky|chirriante|chirria|chirrian|grating|hard|duele|pincha|pinchan|molestos|ear fatigue|grit in the top|ice pick|icepick|aspera", at=3_200.0),
    _fault("nasal", 700.0, 1_500.0, "O K", "nasal|nasality|nasalidad|gangos[oa]|nasaly|nasales|nose|congestionad[oa]|nasally|gangueo|pinched|congested", at=1_000.0),
    _fault("honky", 400.0, 1_000.0, "O K", "honky|honk|bocina|honkiness|megafono|megaphone|honkey|bocinazo|a bocina", at=700.0),
    _fault("tinny", 1_500.0, 6_000.0, "S", "tinny|lata|metalic[oa]|a lata|metallic|tinniness|latos[oa]|hojalata|sonido a lata|ring|ringing|pitido", at=2_500.0),
    _fault("shrill", 3_000.0, 8_000.0, "S", "shrill|shrillness|chillido|screechy|screech|chirrido|aguda en exceso|shriek|shrieky", at=4_000.0),
    Word("sibilant", "sibilant|sibilance|sibilancia|sibilancias|sibilante|ese|eses|siseo|siseos|essy|esses|s's|eses fuertes|seseo|seseante|siseante|siseos|sibilants|silbante|silbido|ss sounds|s sounds|essing|shh", "deesser", 5_000.0, 9_000.0, 1, True, "O I", 6_500.0),
    _fault("rumbling", 20.0, 60.0, "O", "rumbling|rumbly|temblor|subsonica", at=35.0),
    _fault("woolly", 150.0, 400.0, "K", "woolly|wooly|lanos[oa]|algodonos[oa]|algodon|blanket|manta|bajo una manta|under a blanket", at=250.0),
    _fault("bloated", 80.0, 200.0, "K", "bloated|hinchad[oa]|inflad[oa]|tubby low|gordo de mas|flabby|floj[oa] de graves|bulky", at=120.0),
    _fault("dull", 4_000.0, 12_000.0, "S K", "dull|dullness|apagad[oa]|muert[oa]|sin vida|sin brillo|opac[oa]|opacidad|mate|lifeless|muffled|tapad[oa] de agudos|sordo|sorda|ahogad[oa]|amortiguad[oa]|velad[oa]|veiled|closed|cerrad[oa]|deslucid[oa]|muffle|soso|sosa|boring|aburrid[oa]|apagadita|apagadito|dead|lacks life", at=8_000.0),
    _fault("thin", 100.0, 300.0, "S O", "thin|thinner|thinness|flac[oa]|delgad[oa]|anemic|anemic[oa]|fin[oa]|esmirriad[oa]|weak|debil|enclenque|sin cuerpo|lightweight|falto de cuerpo|falta de cuerpo|scrawny|skinny|raquitic[oa]|floj[oa]|flojit[oa]|canij[oa]|puny|wimpy|debilucho", at=180.0),
    _fault("hollow", 300.0, 1_000.0, "K", "hollow|huec[oa]|vaci[oa]|empty|hollowness|scooped|ahuecad[oa]", at=500.0),
    _fault("distant", 2_000.0, 6_000.0, "I", "distant|lejan[oa]|alejad[oa]|far away|lejos|faraway|remote|distante|a lo lejos", at=3_500.0),
    # --- something that is wanted
    _peak("bright", 6_000.0, 16_000.0, 1, "S D", "bright|brighter|brightness|brillante|brillantes|brillo|brighten|brillosa|brillos[oa]|brillito|brightening|luminos[oa]|brilla|brillen|brille|brillar|brilliance|brilliant|brillantez|luz|briyo|abrillanta|abrillantar|bryght|shine|shiny|aclara|aclaralo|aclarala|brillantita|brillantito|vivid|viv[oa]"),
    _peak("airy", 10_000.0, 20_000.0, 1, "O K", "air|airy|aire|airier|aereo|aerea|airiness|aeread[oa]|breathy|respire|respirar|breathe|breath of air|open|openness|abiert[oa]|apertura|opened|airi|ventilad[oa]|etere[oa]|ethereal"),
    _peak("sparkling", 8_000.0, 14_000.0, 1, "S", "sparkle|sparkly|sparkling|chispa|destello|chispeante|shimmer|shimmery|centelle[oa]|glitter|glisten|sheen|brillo extra|reluciente|glossy|gloss|brisa|chispita"),
    _peak("crisp", 4_000.0, 10_000.0, 1, "S K", "crisp|crispy|crispness|nitid[oa]|nitidez|crujiente|crispier|crisper|crispiness|sharp|afilad[oa]|snappy top"),
    _peak("clear", 2_500.0, 6_000.0, 1, "S O", "clear|clarity|claridad|clarita|clarito|clearer|inteligible|inteligibilidad|intelligibility|intelligible|articulation|articulacion|entienda|se entienda|definicion|definition|definid[oa]|articulad[oa]|defined|claro|clara|diccion|detail|detalle|detailed|detallad[oa]|separation|separacion|understandable|cleaner|limpi[oa]|transparent|transparente|transparencia|limpieza|entiendan|se entiendan", at=3_500.0),
    _peak("present", 3_000.0, 6_000.0, 1, "O K", "presence|presencia|presente|presentes|present|bite|mordida|mordiente|cut through|cuts through|atraviese|corte en la mezcla|se abra paso|definicion en medios|forwardness|proyeccion|projection|projected|precencia|presensia|penetracion|garra|attitude|actitud|in front of the mix", at=4_000.0),
    _peak("click", 2_500.0, 5_000.0, 1, "O", "beater|beater click|clack|maza|golpe de maza|tick|knock of the beater|clic del bombo|kick click|chasquido del bombo", at=3_500.0),
    _peak("warm", 120.0, 500.0, 1, "S D", "warm|redond[oa]|round|rounder|rounded|redondez|roundness|warmer|warmth|calid[oa]|calidez|calient[oa]|caliente|calor|warmed|warming|calientala|calientalo|calentar|warm up|tibi[oa]|calorcito|calidita|calidito|cosy|cozy|acogedor|acogedora|toasty|calides|kalid[oa]", at=220.0),
    _peak("full", 100.0, 400.0, 1, "O K", "full|fuller|fullness|cuerpo|body|llen[oa]|plenitud|lleno|relleno|solidez|solid[oa]|solid|beef|beefy|beefier|corpulencia|corpulent[oa]|rich|richer|richness|ric[oa]|riqueza|carne|meat|meaty|sustancia|substance|weight|peso|pesad[oa]|heft|hefty|cuerpito|densidad|dens[oa]|dense|contundencia|contundente|robust|robust[oa]|consistencia|empaque|bodied|body and weight", at=200.0),
    _peak("fat", 80.0, 250.0, 1, "S", "fat|fatter|phat|gord[oa]|gordura|gordit[oa]|grues[oa]|grosor|thick|thicker|thickness|engorda|engordar|engordale|engordala|engordalo|chunky|chonky|thicken|fatten|engrosar|engruesa|fatness|groso|gruesit[oa]", at=120.0),
    Word("deep", "deep|deeper|profund[oa]|profundidad grave|hond[oa]|depth in the low end|profundidad en graves|bassy|bassier|grave y profundo|boomier low|mas grave", "low_shelf", 30.0, 100.0, 1, False, "S", 80.0),
    Word("heavy", "heavier|pesadez|thump|thumpy|golpe grave|subby|golpe en el pecho|chest thump|thud|thunder|thunderous|patada en el pecho", "low_shelf", 50.0, 120.0, 1, False, "S", 80.0),
    Word("dark", "dark|darker|oscur[oa]|oscuridad|darkness|darken|oscurece|oscurecer|oscurecela|oscurecelo|sombri[oa]|oskur[oa]|oscurezca|oscurit[oa]|moody|oscurecerlo|oscurecerla", "high_shelf", 4_000.0, 16_000.0, -1, False, "S D", 6_000.0),
    Word("mellow", "mellow|meloso|melosa|mellower|tercipel[oa]|aterciopelad[oa]|velvety|dulce|sweet|sweeter|dulzura|sweetness", "high_shelf", 4_000.0, 12_000.0, -1, False, "S", 6_000.0),
    _peak("smooth", 2_000.0, 6_000.0, -1, "S D", "smooth|smoother|smoothness|suavidad|sedos[oa]|silky smooth|suavita|suavecit[oa]|mas suave|less edgy|tersa|terso|mas suave de agudos|liso|lisa", at=3_500.0),
    _peak("soft", 2_000.0, 8_000.0, -1, "S", "soft|softer sounding|softness|blandit[oa]|bland[oa]|blandura|gentler|delicad[oa]|delicate|delicadeza", at=4_000.0),
    Word("silky", "silky|seda|sedosidad|silk|de seda|satin|satinad[oa]", "high_shelf", 8_000.0, 16_000.0, 1, False, "O", 10_000.0),
    _peak("aggressive", 1_500.0, 5_000.0, 1, "S", "aggressiveness|agresividad|agresiva|agresivo|rabia|angry|mala leche|fiera|furia|rage|in yer face|canera|caner[oa]", at=2_500.0),
    _peak("crunchy", 1_000.0, 4_000.0, 1, "S", "crunchy|crunch|crujido", at=2_000.0),
    _peak("vintage", 200.0, 3_000.0, 1, "S", "vintage|retro|old school|viej[oa] sonido|clasic[oa]|antig[u]o|de epoca", at=800.0),
    _peak("woody", 200.0, 800.0, 1, "K", "woody|mader[oa]|amaderad[oa]|de madera|wood", at=400.0),
    _peak("throaty", 500.0, 1_000.0, 1, "K", "throaty|gutural|de garganta|throat", at=700.0),
    Word("chesty", "chesty|de pecho|pecho|chest|chest voice", "peak", 150.0, 350.0, 1, False, "K", 220.0),
    _peak("natural", 200.0, 5_000.0, -1, "D", "natural|organic|organic[oa]|realista|realistic|naturalidad", at=3_000.0),
    _peak("modern", 6_000.0, 14_000.0, 1, "S", "modern|modern[oa]|actual|contemporary|contemporane[oa]", at=10_000.0),
    _peak("radio_ready", 2_000.0, 8_000.0, 1, "O", "radio ready|radiofonic[oa]|radio voice|sonido de radio", at=5_000.0),
    # --- time and dynamics
    Word("punchy", "punch|punchy|punchier|pegada|punche|ponche|golpe|impact|impacto|kick harder|patada|hits harder|hit harder|pegue|pegue mas|punchiness|golpee|golpee mas|pegar|fuerza|force|powerful|potente|potencia|power|pelotazo|contundent[oa]|smack|knock|pega|pegada extra|slam|hit|garrote|pegue fuerte|pegador|pegadora|puch|trallazo|energia|energy|energetic|energic[oa]|empuje extra|bang|banging|oomph", "attack", 60.0, 5_000.0, 1, False, "I D", None),
    Word("snappy", "snap|snappy|snappier|crack|chasque[oa]|latigazo|ataque del golpe|transientes|snappiness|cracky|crackier|restallido|mas ataque|more attack|ataque mas|clap back|pop out", "attack", 2_000.0, 6_000.0, 1, False, "O I", None),
    Word("tight", "tight|tighter|apretad[oa]|aprieta|apretar|firme|firmeza|tighten|tightness|tighten up|ajustad[oa]|compact[oa]|compactad[oa]|sec[oa] de cola|controlled|control|mas corto de cola|apretadit[oa]|prieto|prieta|menos suelto", "sustain", 40.0, 250.0, -1, False, "I", None),
    Word("sustained", "more sustain|mas sustain|mas sostenido|sustain extra|resonar mas", "sustain", None, None, 1, False, "I", None),
    Word("glued", "glue|glued|cohesion|cohesionad[oa]|pegamento|cohesive|cohesiveness|junta la mezcla|unid[oa]|pegad[oa]|cemento|glue together|amalgama|cohesiona|cohesionar|cohesionala|cohesionalo|gel|gelled|gels|empastad[oa]|empaste|empastar|cohesione|cohesiva", "compress", None, None, 1, False, "I", None),
    Word("even", "even|evened|uniforme|parej[oa]|consistent|consistente|consistency|estable|estabilidad|steady|even out|uniformidad|regular|constante|regularidad|dynamic control|control dinamico|menos dinamica|less dynamic|emparej[oa]|steadier|homogene[oa]|nivelad[oa]|picos de volumen|saltos de volumen|dinamica controlada|more even|level out|less dynamics|more consistent", "compress", None, None, 1, False, "I", None),
    Word("squashed", "squashed|aplastad[oa]|overcompressed|sobrecomprimid[oa]|comprimid[oa]|demasiado comprimid[oa]|compressed|bombea|bombeante", "compress", None, None, 1, True, "I", None),
    Word("gritty", "grit|gritty|grime|grimy|suciedad|suci[oa]|dirt|dirtier|mugros[oa]|rasgad[oa]|raspy|grunge|raw|crud[oa]|rough edge|sucito|suciecito|rota|roto", "saturate", None, None, 1, False, "D", None),
    Word("analog", "analog|analogue|analogic[oa]|analogo|analoga|sonido analogico|analog warmth|calor analogico|calidez analogica|analog feel|color|colour|caracter|character|coloracion|vibe|colorido", "saturate", None, None, 1, False, "D", None),
    # --- space
    Word("spacious", "spacious|espacios[oa]|espacio|space|ambience|ambiente|ambiencia|roomy|reverberante|reverberated|spaciousness|ambientacion|grandeza|grandiose|majestuos[oa]|big space|amplio espacio|epico espacio|atmosphere|atmosferic[oa]|atmospheric|ambient|profundidad|depth|depth of field|hondura|sensacion de espacio|sensacion de profundidad|mas atras en el espacio", "reverb", None, None, 1, False, "I", None),
    Word("wet", "wet|mojad[oa]|soaked|empapad[oa]|banad[oa] en reverb|drenched|wetter|mas mojad[oa]|wet sounding", "reverb", None, None, 1, False, "I", None),
    Word("dry", "dry|drier|sec[oa]|sequedad|dryer|mas sec[oa]", "dry", None, None, 1, False, "I", None),
    Word("wide", "wide|wider|anch[oa]|anchura|amplitud estereo|amplia|amplio|wideness|stereo spread|abiert[oa] en estereo|mas estereo|more stereo|panoramico ancho|grande en estereo|ancho estereo|anchit[oa]|estereofonic[oa]|wideness|immersive|inmersiv[oa]|envolvente sonido|espacialidad|abierta en estereo|stereo sound|larger than life|expansive|expansiv[oa]", "width", None, None, 1, False, "I", None),
    Word("narrow", "narrow|narrower|estrech[oa]|angost[oa]|estrechez|menos ancho|less wide|mono ish|cerrada en estereo", "width", None, None, -1, False, "I", None),
    Word("lo_fi", "lo fi|lofi|lo-fi|telefono|telephone|telefonic[oa]|radio antigua|old radio|walkie talkie|am radio|efecto telefono|telephone effect|efecto radio|telefonico|megafono efecto|radio vieja|phone|transistor|efecto telefonico|radio effect", "telephone", 300.0, 3_400.0, 1, False, "O", None),
    Word("noisy", "noisy|ruidos[oa]|con ruido|hissy", "gate", None, None, 1, True, "O", None),
    Word("bass_heavy", "bass heavy|cargad[oa] de graves|exceso de graves|demasiados graves|too bassy|too much bass|too much low end|sobrad[oa] de graves|pasad[oa] de graves|graves de mas|mucho grave|gordota", "low_shelf", 30.0, 150.0, 1, True, "K", 120.0),
    Word("big", "big|bigger|grande|grandes|enorme|huge|massive|masiv[oa]|larger|giant|gigante|enormous|grandota|grandote|giganotesc[oa]|bestial|inmens[oa]", "peak", 80.0, 250.0, 1, False, "S", 120.0),
    Word("small", "small|smaller|pequen[oa]|chic[oa]|tiny|diminut[oa]|pequenit[oa]|chiquit[oa]", "peak", 80.0, 300.0, -1, False, "S", 150.0),
)  # fmt: skip
