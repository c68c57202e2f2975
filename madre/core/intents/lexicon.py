"""What words stand for: the vocabulary of this house in Spanish and English, written in plain form (no accents, lower case).

A trailing `*` means "and whatever follows" (`mezcl*`: mezcla, mezclame, mezclar). A word may stand for several concepts.
"""

from functools import lru_cache

_WORDS: dict[str, str] = {
    # what is asked for
    "MIX": """
        mezcl* mix* mixdown balance* balancea* equilibr* blend* panea* paneo pan panned panning panorami* estereo
        fader* nivel* level* sube subele subir baja bajale bajar louder quieter volumen volume ganancia gain encima
        detras atras buried bury tapa* tapan hunde* hundi* rebalance* rough premezcl* mute mutea* solo gluing junta*
        junten combina* summ* sum summed sumar atenua* adelante upfront forward tuck* peleand* fight* masking
    """,
    "EFFECT": """
        eq ecualiz* equaliz* eqea* comprim* compres* compress* reverb* reverberacion delay* eco ecos echo deess*
        de-ess* denois* gate* puerta flanger chorus phaser distors* distort* satur* autotune pitch* tune* afin*
        desafin* fade* fundido ruido noise hum hiss zumbid* siseo sibil* seseo eses brighte* brill* warm* calid*
        calidez oscur* dark* muddy mud boomy embarr* filtr* filter* hpf lpf pasaalto* pasabajo* highpass* high-pass
        low-pass lowpass* notch aire airy presenc* punch* pegada cuerpo graves agudos medios treble lows highs mids
        efecto* effect* fx plugin* crackle* click* pop pops plosive* plosiva* breath* respir* transient* shelf
        shelv* boost* realz* realce* recort* cut dip db dbs hz khz wet dry seco mojado room sala plate harsh*
        aspero* chillon* chillan estrident* thin fino apagad* dull hueco hollow nasal* boxy caja lata tinny robot*
        telefono lofi lo-fi vintage cinta tape analog* granular wah tremolo vibrato slap slapback doubl* dobla*
        ensancha* widen* wide* ancho ancha espaci* limpi* clean* declick* decrackle dehum dereverb* sidechain* duck*
        ratio threshold attack release umbral ataque semiton* semitone* octav* stretch* slow* ralentiz* aceler*
        reverse* suaviz* soft* smooth* agresiv* gordo gorda fat fatter grosor
    """,
    "MASTER": """
        master masters mastering mastere* masteriz* remaster* masteric* limit* lufs loudness normaliz* techo ceiling
        comercial* commercial* final finish* acabad* competitiv* release* lanzamiento streaming spotify youtube
        tidal deezer soundcloud bandcamp apple itunes cd vinilo vinyl distrokid aggregator broadcast emision ebu
        radio plataforma* maximiz* dither*
    """,
    "ANALYZE": """
        analiz* analis* analyz* analys* mide mides medi* midem* medicion measur* meter* compara* compare* comparison
        detect* bpm tempo tonalidad tono key clave scale espectro espectr* spectr* fase phase* lufs pico* peak*
        peaks clip* clipea* satura* headroom correl* loudness dinamic* dynamic* dbtp rms crest lra integrad*
        integrated sonoridad frecuenc* frequenc* duracion mono resonanc* histogram* report* reading lectura compas
        graficame
    """,
    "EXPORT": """
        export* expor* convert* convier* conviert* conversion renderiz* render renders bounce* bouncea* wav flac mp3
        ogg aac m4a aiff opus xwav xflac xmp3 xogg xm4a formato* format bits bit 16bit 24bit 16-bit 24-bit 32-bit
        32bit 320 kbps 44.1 48k 96k 44.1k 44100 48000 khz guardame comprimido lossless transcod* downsampl* resampl*
        remuestr* encode* codific* exportacion entregables deliverable* pendrive usb whatsapp pasalo pasame pasamelo
        sacame
    """,
    "UNDO": """
        undo undid deshaz deshac* deshag* revert* revier* rollback roll ctrl+z ctrl-z cmd+z ctrlz atras anterior*
        previous* previo* before antes original* vuelve volve volver volvamos regresa* regresar retroced* deshecho
        unapply restore* restaura* restaur* sacale quitale quitalo sacaselo back retract descarta* discard* estaba
        wrong equivoc* mistake arrepenti* regret step paso prefer* gustaba last ultimo ultima
    """,
    "RUN": """
        ejecut* run runs rerun re-run launch* lanza* lanze lanzar arranca* start* corre correme correlo correr
        corras kick execut* spawn* compil* build builds dispara* trigger* fire pon ponme poner echa echale invoke*
        invoca* lance tira tirame tirate levanta* dale npm make pytest cargo docker-compose cron play deploy*
        desplieg* despleg*
    """,
    "STATUS": """
        progres* progreso termin* finish* finaliz* done acab* corriendo running logs log cola queue* queued va vas
        llev* status estado sigue still atascad* stuck colgad* hung eta falta* left porcentaje percent* % pending
        pendiente* activos active fallo failed fail* salida output printed imprimio pid stdout stderr avance* quedo
        quedado ended crash* murio died
    """,
    "KILL": """
        mata* kill* killall para parar parame paralo parala pare paren stop* deten* detiene* deteng* cancel* abort*
        termina* terminate* corta* frena* end ctrl-c ctrlc ctrl+c sigkill sigterm tumba* tumbate quit halt
        interrump* interrupt* cargate apaga* shutdown pull plug cierra* nuke murder axe freno liquida* suspend*
        force aborta
    """,
    "DELETE": """
        borr* elimin* delet* remov* remove* eras* wip* wipe* purg* suprim* quita* limpi* clear* clean* trash* tira*
        tiralo desinstal* uninstall* drop* vaci* empty fuera shred bin papelera basura junk rid nuke desech*
        deshazte deshacer dump ditch toss scrap destruy* destroy* carga* cargate volate volar vuela rm discard*
        libera* free unwanted sobra* sobran necesit* obsolet* discontinue*
    """,
    "REPAIR": """
        repar* arregl* repair* fix* restart* reinici* reboot* heal* recover* recuper* levanta* revive* resucit*
        restaur* restore* sana* reanima* kick bounce* corrig* correct* unstick desatasc* reset* resete* bring
        rearranc* componer compon compon* patch* parche* solucion* healthy sort alza* curar cura vuelve relanz*
        rebuild*
    """,
    "DOWNLOAD": """
        descarg* baja* bajat* bajes bajame download* pull* fetch* instal* install* get grab* trae* traete trayendo
        consigue* agrega* anade* add baje descarga importa* import* pillate pilla dl
    """,
    "SEARCH": """
        busc* busq* search* find* look* encuentr* encontr* recom* recomiend* suggest* suger* hunt* alternativ*
        alternative* exist* hay browse* explore* option* opcion* candidat* localiz* shop rastrea* averigua* mejor
        best good compar* catalog* hub huggingface hugging face hf anything algo algun alguno some
    """,
    "LIST": """
        list* lista* listame muestr* muestrame show* ensen* which cuales cual que display enumer* have got tenemos
        tengo tienes inventari* inventory hay dime tell disponibl* available catalogo cargad* loaded registrad*
        registered instalad* installed local* locales ocupa* size* tamano pesan memoria ram vram
    """,
    "SCAN": """
        escan* scan* revis* barr* sweep* inspec* explor* check* chequ* audita* rastre* examin* analiza* busca* peina
        comb hunt* snoop repas* diagnost* chequeo
    """,
    "DRIFT": """
        drift* deriva* desvi* deviat* baseline base diff* differ* difier* diferen* cambi* chang* desincron* sync
        sincron* compar* versus vs contra frente respecto against since desde tocado toco touch* touched modific*
        modified tamper* alter* config* manifest* despleg* deployed deploy* deberia should supposed match* coincid*
        snapshot instantanea declared declarad* referenc* original edited editad* cuadra* divergen* diverg*
        discrepan* repo committed
    """,
    # what it is done to
    "MODEL": """
        modelo* model models llm llms gguf llama* mistral* mixtral* qwen* phi* gemma* deepseek* whisper* embedding*
        embed* embedder checkpoint* pesos weights xweights quant* cuantiz* lora bge* nomic* tinyllama smollm* stable
        sdxl flux vicuna falcon starcoder codellama demucs* piper bark musicgen bert* rerank* vision ocr tts stt asr
        ia ai parametro* param* q4 q5 q8 8b 7b 3b 1b 13b 70b
    """,
    "CLI": """
        cli clis herramienta* tool tools binari* binary ejecutable* utilidad* utility utilities ffmpeg sox git
        docker gh node npm python python3 curl jq rg ripgrep kubectl terraform aws gemini claude codex version*
        versiones command-line terminal linea consola wget rsync rclone gcc clang cargo rustc go java pandoc
        imagemagick yt-dlp make cmake tmux htop nvcc path programa* programs installed instalad* compiler*
        compilador* helm ansible apt pip pipx poetry uv vim nano fzf podman sqlite3 psql redis-cli flac lame ollama
    """,
    "PROCESS": """
        proces* process* job jobs tarea* task tasks trabajo* trabajos script* xscript build builds test tests
        pid daemon worker* comando* command* pipeline* cron backup* respaldo* copia entrenamiento* training
        train hija* spawn render renders descarga* download* bucle loop colgado runaway instancia* thing cosa
        separacion separation batch lote import importacion migracion migration* suite scraper notebook servidor
        server compilacion ejecucion execution transcod* transcri* conversion bot benchmark* linter lint kernel
        kernels jupyter transcripcion* transcription* deploy* reindex* indexado indexador crawler watcher sync
        timer
    """,
    "FILE": """
        archiv* file files fichero* carpeta* folder* director* disco disk drive espacio space cache temp tmp
        temporal* xfile xpath xaudio xurl secret* credential* credencial* contrasen* password* clave* llave* keys
        token* puerto* port ports red network vulnerab* permisos permission* sesion* session* plan plans planes
        datos data asset* tabla* table* base database db registro* row rows bases grabacion* recording* toma tomas
        take takes duplicad* duplicate* huerfan* orphan* gigas gb gigabytes megas mb basura home downloads descargas
        samples muestras proyecto* project* historial history borrador* draft* papelera logs copias backups
        node_modules inodos malware virus rootkit expuest* exposed openssh ssh firewall intrus* symlink* stale
    """,
    "SERVICE": """
        gateway madre switch hermes hermes_db spawner manifestator hormiguero shub mcp tentaculo link modul* module*
        servic* service* flota fleet vx11 nodo node* contenedor* container* backend api panel dashboard sistema
        system stack
    """,
    "HEALTH": """
        salud health* sano sana alive vivo vivos viva arriba up down caido caida caidos cae cayo uptime responde*
        respond* respuesta status estado verde green red rojo pie funciona* working works bien ok okay fine
        unhealthy latido ping online offline enfermo sick roto rota broken murio dead muert* degradad* degraded
        fuera pulso pulse petado petao tirado
    """,
    # what it is about, when it is a question
    "CODE": """
        codigo code coding python javascript js typescript ts rust java golang sql regex regexp funcion function*
        func clase class metodo method* exception* excepcion traceback stacktrace bug* git rama branch commit*
        rebase merge algorit* algorithm* css html react async await lambda decorador decorator* closure* variable*
        string* array* dict* diccionario lista list tuple tupla json yaml dockerfile bash shell awk sed grep select
        join query queries endpoint api typeerror keyerror valueerror nullpointer segfault segmentation compila
        puntero pointer* mutex thread* hilo hilos recursiv* recursion syntax sintaxis import pandas numpy django
        flask fastapi pytest unit typing generics docstring refactor* makefile cron crontab chmod rm xcode parse*
        parsea* loop for while bucle iter* programar programming script one-liner snippet index indice postgres
        sqlite mysql orm kubernetes compose nginx null undefined none int float enum struct sudo -rf node_modules
        pip venv
    """,
    "HELP": """
        ayuda* help manual guia guide tutorial ejemplo* example* puedes sabes capaz capab* capaci* soporta* support*
        comandos commands usar uso use usage empezar empiezo start started began begin docs documentacion
        documentation funcionas instrucciones instructions sirves features funciones opciones options pedirte pedir
        ask asistente assistant vx11 tu you te eres primera first nuevo new nueva cheat
    """,
    "KNOW": """
        quien who cuando when donde where porque why capital historia history receta recipe cocin* cook* poema poem
        traduc* traduzc* translat* resum* resumen summar* summary chiste joke pais country fisica physics quimica
        chemistry planeta* planet* guerra war presidente president rey king agua water luna moon sol sun universo
        universe libro book pelicula movie film musica music acorde* chord* escala scale* armonia harmony teoria
        theory significa mean* meaning diferencia difference entre between sirve consist* origen origin invent*
        siglo century edad old anos years pizza pan arroz rice huevo egg* cafe coffee perro dog gato cat clima
        weather filosof* philosoph* correo email carta letter escribeme write redacta* idioma language palabra word
        sinonimo synonym velocidad speed luz light banda band disco album letra lyrics compuso canto sang beethoven
        bach beatles queen explica* explain* explicame opinas opinion think crees consejo advice nombre* name* idea*
        hola hello hi gracias thanks cuanto calcula* calculate porcentaje economia bitcoin dinero money viaj* travel
    """,
    # material
    "INSTRUMENT": """
        voz voces vocal* voice* vox bateria drum* bombo kick caja snare bajo bass bajos guitar* guitarra* piano
        teclad* keys synth* sinte* coros coro choir backing percusion percus* violin* cuerda* string* metales brass
        trompeta trumpet sax platos cymbal* hat hats hihat* overhead* toms tom lead leads pad pads arreglo* strings
        acustic* acoustic electric* rap rapero cantante singer* palmas claps 808 loop beat
    """,
    "TRACKS": """
        pista* track tracks stem stems canal* channel* bus multitrack multipista* instrument* elemento* capas layers
        stereo tomas takes grabaciones
    """,
    "SONG": """
        cancion* song songs tema temas mezcla mix mixes mezclas bounce master audio sonido sound suena sounds single
        ep album episodio episode podcast maqueta demo loop sample grabacion recording entrevista interview locucion
        clip sesion xaudio
    """,
    # the form of the sentence
    "ORDER": """
        haz hazme hacer haga hagan hace quiero want necesito need ponme dame give dejame deja let lets vamos go ve
        venga dale please porfa porfavor plis pls plz podrias puedes could would can make do favor ocupo gustaria
        like me mete metele echa
    """,
    "WHQ": """
        que what como how cual which cuales quien who cuando when donde where cuanto cuanta cuantos cuantas porque
        why whats what's how's hows
    """,
    "ISQ": """
        is are was were does did do has have hay esta estan sigue siguen tiene tienen es son hasn't isn't aren't any
        alguna algun alguno anything ya yet already
    """,
    "NEG": """
        no not don't dont never nunca jamas sin without ni tampoco isn't won't cannot can't
    """,
    "SAFE": """
        seguro safe peligros* dangerous riesg* risk* pasa pasaria happens happen recomendable
    """,
    "VAGUE": """
        eso esto that this it lo la aquello algo something thing cosa cosas stuff ahi otro otra hmm eh mmm well pues
        asi igual whatever siempre always same mismo
    """,
    "FIRST": """
        yo mi mis i my mine me tengo estoy i'm i'd
    """,
    "PLACE": """
        aqui here box maquina machine equipo pc servidor server host local ordenador compu computer computadora
        laptop
    """,
}

_PHRASES: dict[str, str] = {
    "P_HOWDO": """
        how do i | how can i | how to | how would i | how should i | como hago | como puedo | como se | como le | de
        que manera | cual es la forma
    """,
    "P_WHATDOES": "what does | que hace | para que sirve",
    "P_WHATIS": "what is | what's | que es | que significa | what are | que son",
    "P_WHATIF": "what happens | que pasa si | que pasaria | what would happen | if i | si borro",
    "P_DIFF": "difference between | diferencia entre | diferencia hay",
    "P_SAFE": "is it safe | es seguro | es peligroso",
    "P_CANYOU": "can you | could you | are you able | do you | puedes | podes | podrias | sabes | eres capaz",
    "P_CANI": "can i | puedo | se puede | could i | am i able",
    "P_WHATCAN": """
        que puedes | what can you | what can i | que mas | que cosas | what else | what kind of | que tipo | que
        sabes
    """,
    "P_WHY": "how come | por que | why does | why is",
    "P_DELETE": """
        get rid of | deshazte | deshacerte | a la basura | a la papelera | in the bin | no longer need | don't need
        | ya no necesito | no me sirve | throw away | throw out | ya no hace falta
    """,
    "P_UNDO": """
        go back | take off | take it off | roll back | the way it was | como estaba | como antes | de antes | paso
        atras | take back | put it back | it was before | before that | lo ultimo | last change | last thing | was
        better | estaba mejor | sonaba mejor
    """,
    "P_BASELINE": "linea base",
    "P_CHANGED": """
        que ha cambiado | que cambio | what changed | has changed | what's changed | whats changed | out of sync |
        changed since | sin que yo
    """,
    "P_SUPPOSED": "supposed to",
    "P_RUNNING": "still running | is running | running right now",
    "P_PROGRESS": """
        how far | como va | como van | que tal va | por donde va | how is the | how's the | ha terminado | ya
        termino | ya acabo | cuanto le falta | cuanto queda | cuanto falta | how long until | is it done
    """,
    "P_DIDTHE": "did the",
    "P_ISTHE": "is the | esta el | esta la | are the",
    "P_DOWEHAVE": "do we have | have we got | do i have | have i got | tenemos | tengo instalad | hay instalad",
    "P_ISTHERE": "is there | are there | hay algun | existe",
    "P_KILL": "shut down | shut it down | pull the plug | ya no quiero | make it stop | que pare | call off",
    "P_REPAIR": """
        bring back | back up | back online | get it working | pon en pie | vuelva a funcionar | vuelve a levantar |
        turn it off and on | patas arriba
    """,
    "P_BURIED": """
        hard to hear | no se oye | no se escucha | can't hear | se pierde | se come | por encima | too loud | muy
        alto | muy bajo | demasiado alt | too quiet | eating | drowning | gets lost | get lost | sitting | sits
    """,
    "P_READY": "ready for | lista para | listo para | para subir | to upload",
    "P_SOUND": "que suene | make it sound | suena | sounds | sounding",
    "P_TP": "true peak | pico real",
    "P_LOUD": "how loud | que tan fuerte | como de alto",
    "P_SR": "sample rate | bit depth",
    "P_HUB": "hugging face",
    "P_DISK": "on disk | en disco | in memory",
    "P_WRITE": "write me | write a | escribe un | escribeme | hazme una funcion",
    "P_INCODE": "en python | in python | in rust | in bash | en bash | in sql",
    "P_AMODEL": "a model | un modelo | algun modelo | any model",
    "P_UP": "is up | are up",
    "P_ALLOK": "todo bien | everything ok | all good | everything | todo en orden",
}


def _index() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    exact: dict[str, tuple[str, ...]] = {}
    stems: dict[str, tuple[str, ...]] = {}
    for concept, listed in _WORDS.items():
        for entry in listed.split():
            table, key = (stems, entry[:-1]) if entry.endswith("*") else (exact, entry)
            table[key] = (*table.get(key, ()), concept)
    return exact, stems


_EXACT, _STEMS = _index()
_SET_PHRASES = {
    concept: tuple(f" {' '.join(phrase.split())}" for phrase in listed.split("|"))
    for concept, listed in _PHRASES.items()
}
_LONGEST = max(map(len, _STEMS))


@lru_cache(maxsize=8_192)
def concepts_of(word: str) -> tuple[str, ...]:
    """Every concept a plain word stands for, in a fixed order; empty for a word of no list."""
    word = word.removesuffix("'s") if word not in _EXACT else word
    found = set(_EXACT.get(word, ()))
    for length in range(2, min(len(word), _LONGEST) + 1):
        found.update(_STEMS.get(word[:length], ()))
    return tuple(sorted(found))


def phrases_in(plain_words: list[str]) -> list[str]:
    """The concepts of the set phrases a message contains."""
    joined = f" {' '.join(plain_words)} "
    return sorted(concept for concept, phrases in _SET_PHRASES.items() if any(phrase in joined for phrase in phrases))
