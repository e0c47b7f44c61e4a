"""Common phrases: what people try first, said right in every direction.

A line holds English, French, German, Spanish without final punctuation, and the final marks the phrase is seen
with; without any mark it is always seen too. Where two phrases share a source, the earlier one owns it: French
"Bonjour" is "Hello" in English, though "Good morning" also becomes "Bonjour".
"""

from typing import Final, NamedTuple

from model_bake.demo.lexicon import LANGUAGES, Language


class Phrase(NamedTuple):
    """A phrase in every language, bare, with the final marks it takes, the natural one first."""

    texts: dict[Language, str]
    marks: str


def _phrase(line: str) -> Phrase:
    *texts, marks = (cell.strip() for cell in line.split("|"))
    return Phrase(dict(zip(LANGUAGES, texts, strict=True)), marks)


PHRASES: Final[tuple[Phrase, ...]] = tuple(
    _phrase(line)
    for line in """
Hello | Bonjour | Hallo | Hola | !.
Hello, world | Bonjour le monde | Hallo, Welt | Hola, mundo | !.
Good morning | Bonjour | Guten Morgen | Buenos días | .!
Good evening | Bonsoir | Guten Abend | Buenas tardes | .!
Good night | Bonne nuit | Gute Nacht | Buenas noches | .!
Goodbye | Au revoir | Auf Wiedersehen | Adiós | .!
See you tomorrow | À demain | Bis morgen | Hasta mañana | .!
See you soon | À bientôt | Bis bald | Hasta pronto | .!
See you later | À plus tard | Bis später | Hasta luego | .!
Yes | Oui | Ja | Sí | .!
No | Non | Nein | No | .!
Please | S'il vous plaît | Bitte | Por favor | .!
Thank you | Merci | Danke | Gracias | .!
Thank you very much | Merci beaucoup | Vielen Dank | Muchas gracias | .!
You are welcome | De rien | Gern geschehen | De nada | .!
Of course | Bien sûr | Natürlich | Por supuesto | .!
Excuse me | Excusez-moi | Entschuldigung | Disculpe | .!
I am sorry | Je suis désolé | Es tut mir leid | Lo siento | .!
How are you | Comment allez-vous | Wie geht es Ihnen | Cómo está usted | ?
I am fine, thank you | Je vais bien, merci | Mir geht es gut, danke | Estoy bien, gracias | .
And you | Et vous | Und Ihnen | Y usted | ?
What is your name | Comment vous appelez-vous | Wie heißen Sie | Cómo se llama usted | ?
My name is Anna | Je m'appelle Anna | Ich heiße Anna | Me llamo Anna | .!
Nice to meet you | Enchanté | Freut mich | Encantado | .!
Where are you from | D'où venez-vous | Woher kommen Sie | De dónde es usted | ?
Where do you live | Où habitez-vous | Wo wohnen Sie | Dónde vive usted | ?
How old are you | Quel âge avez-vous | Wie alt sind Sie | Cuántos años tiene usted | ?
I love you | Je t'aime | Ich liebe dich | Te quiero | .!
I am hungry | J'ai faim | Ich habe Hunger | Tengo hambre | .!
I am thirsty | J'ai soif | Ich habe Durst | Tengo sed | .!
I am tired | Je suis fatigué | Ich bin müde | Estoy cansado | .
I am ill | Je suis malade | Ich bin krank | Estoy enfermo | .
I am lost | Je suis perdu | Ich habe mich verlaufen | Estoy perdido | .
I do not understand | Je ne comprends pas | Ich verstehe nicht | No entiendo | .!
I do not know | Je ne sais pas | Ich weiß nicht | No lo sé | .
Do you speak English | Parlez-vous anglais | Sprechen Sie Englisch | Habla usted inglés | ?
Can you help me | Pouvez-vous m'aider | Können Sie mir helfen | Puede ayudarme | ?
Can you help me, please|Pouvez-vous m'aider, s'il vous plaît|Können Sie mir bitte helfen|Puede ayudarme, por favor|?
Can you repeat that | Pouvez-vous répéter | Können Sie das wiederholen | Puede repetirlo | ?
Help | À l'aide | Hilfe | Ayuda | !.
Call a doctor | Appelez un médecin | Rufen Sie einen Arzt | Llame a un médico | !.
Call the police | Appelez la police | Rufen Sie die Polizei | Llame a la policía | !.
I need a doctor | J'ai besoin d'un médecin | Ich brauche einen Arzt | Necesito un médico | .!
I need help | J'ai besoin d'aide | Ich brauche Hilfe | Necesito ayuda | .!
What time is it | Quelle heure est-il | Wie spät ist es | Qué hora es | ?
How much is it | Combien ça coûte | Wie viel kostet es | Cuánto cuesta | ?
That is too expensive | C'est trop cher | Das ist zu teuer | Es demasiado caro | .!
That is very good | C'est très bon | Das ist sehr gut | Está muy bueno | .!
The bill, please | L'addition, s'il vous plaît | Die Rechnung, bitte | La cuenta, por favor | .!
A coffee, please | Un café, s'il vous plaît | Einen Kaffee, bitte | Un café, por favor | .!
Where are the toilets | Où sont les toilettes | Wo sind die Toiletten | Dónde están los servicios | ?
Where is the train station | Où est la gare | Wo ist der Bahnhof | Dónde está la estación | ?
The house is wonderful | La maison est merveilleuse | Das Haus ist wunderbar | La casa es maravillosa | .!
The weather is nice | Il fait beau | Das Wetter ist schön | Hace buen tiempo | .!
The weather is nice today | Il fait beau aujourd'hui | Das Wetter ist heute schön | Hoy hace buen tiempo | .!
It is cold | Il fait froid | Es ist kalt | Hace frío | .!
It is hot | Il fait chaud | Es ist heiß | Hace calor | .!
Welcome | Bienvenue | Willkommen | Bienvenidos | !.
Cheers | Santé | Prost | Salud | !.
Enjoy your meal | Bon appétit | Guten Appetit | Buen provecho | !.
Have a good trip | Bon voyage | Gute Reise | Buen viaje | !.
Good luck | Bonne chance | Viel Glück | Buena suerte | !.
Congratulations | Félicitations | Herzlichen Glückwunsch | Felicidades | !.
Happy birthday | Joyeux anniversaire | Alles Gute zum Geburtstag | Feliz cumpleaños | !.
""".strip().splitlines()
)


def _variants(lang: Language, table: str) -> dict[tuple[Language, str], str]:
    pairs = (line.split("|") for line in table.strip().splitlines())
    return {(lang, variant.strip()): standard.strip() for standard, *variants in pairs for variant in variants}


VARIANTS: Final[dict[tuple[Language, str], str]] = {
    **_variants(
        "eng_Latn",
        """
Hello | Hi | Hey | Hello there
Hello, world | Hello world | Hello World | Hello, World | Hi world
Good morning | Good day
Goodbye | Bye | Bye bye | Good bye
See you later | See you
Thank you | Thanks
Thank you very much | Thank you so much | Thanks a lot | Many thanks
You are welcome | No problem | Don't mention it
Excuse me | Pardon me
I am sorry | Sorry
I am fine, thank you | I am fine, thanks | I am well, thank you
How are you | How are you doing | How are you today
Nice to meet you | Pleased to meet you
My name is Anna | I am Anna
Do you speak English | Can you speak English
I am ill | I am sick
How much is it | How much does it cost | How much is this
Can you repeat that | Can you repeat that, please
Where are the toilets | Where is the toilet | Where is the bathroom | Where is the restroom
The bill, please | The check, please
That is very good | It is very good | This is very good
That is too expensive | It is too expensive | This is too expensive
Have a good trip | Have a nice trip
Welcome | Welcome to you
What time is it | What is the time
""",
    ),
    **_variants(
        "fra_Latn",
        """
Bonjour | Salut
Bonjour le monde | Bonjour, le monde | Salut le monde | Bonjour tout le monde
S'il vous plaît | S'il te plaît
Merci beaucoup | Merci bien
Comment allez-vous | Comment ça va | Comment vas-tu | Ça va
Comment vous appelez-vous | Comment t'appelles-tu
De rien | Je vous en prie
Excusez-moi | Pardon
Je suis désolé | Désolé | Je suis désolée
Je suis fatigué | Je suis fatiguée
Je suis perdu | Je suis perdue
Enchanté | Enchantée
Je t'aime | Je vous aime
À l'aide | Au secours
Combien ça coûte | C'est combien | Combien est-ce que ça coûte
Parlez-vous anglais | Vous parlez anglais
""",
    ),
    **_variants(
        "deu_Latn",
        """
Hallo | Guten Tag | Grüß Gott
Hallo, Welt | Hallo Welt
Auf Wiedersehen | Tschüss
Vielen Dank | Danke schön | Danke sehr
Gern geschehen | Bitte schön
Wie geht es Ihnen | Wie geht es dir | Wie geht's
Wie heißen Sie | Wie heißt du | Wie ist Ihr Name
Ich heiße Anna | Mein Name ist Anna
Wie viel kostet es | Wie viel kostet das | Was kostet das
Wie spät ist es | Wie viel Uhr ist es
Wo sind die Toiletten | Wo ist die Toilette
Ich liebe dich | Ich liebe Sie
Ich verstehe nicht | Ich verstehe das nicht
""",
    ),
    **_variants(
        "spa_Latn",
        """
Hola, mundo | Hola mundo | Hola Mundo
Cómo está usted | Cómo estás | Cómo está | Qué tal
Cómo se llama usted | Cómo te llamas | Cómo se llama
Me llamo Anna | Mi nombre es Anna
Buenas tardes | Buenas
Disculpe | Perdón
Encantado | Mucho gusto | Encantada
Te quiero | Te amo
Estoy cansado | Estoy cansada
Estoy perdido | Estoy perdida
Estoy enfermo | Estoy enferma
No entiendo | No comprendo
Ayuda | Socorro
No lo sé | No sé
Cuánto cuesta | Cuánto cuesta esto | Cuánto es
Dónde están los servicios | Dónde está el baño | Dónde están los baños
Habla usted inglés | Habla inglés
Por supuesto | Claro
""",
    ),
}
"""Other ways to say a phrase, understood as a source and never produced: (language, variant) -> standard."""
