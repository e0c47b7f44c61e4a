"""The phrasebook's words, and which of them fill which slot of a template.

:mod:`model_bake.demo.lexicon` says how a line is read.
"""

from typing import Final

from model_bake.demo.lexicon import Word, parse_adjectives, parse_languages, parse_plain
from model_bake.demo.nouns import FOODS, PERSONS, PLACES, THINGS, VEHICLES

_PLACE_QUALITIES = parse_adjectives(
    """
big | grand grande | groß | es grande grande
small | petit petite | klein | es pequeño pequeña
new | neuf neuve | neu | es nuevo nueva
old | vieux vieille | alt | es viejo vieja
beautiful | beau belle | schön | es bonito bonita
modern | moderne moderne | modern | es moderno moderna
clean | propre propre | sauber | está limpio limpia
dirty | sale sale | schmutzig | está sucio sucia
"""
)
_THING_QUALITIES = parse_adjectives(
    """
expensive | cher chère | teuer | es caro cara
heavy | lourd lourde | schwer | es pesado pesada
"""
)
_COLOURS = parse_adjectives(
    """
red | rouge rouge | rot | es rojo roja
blue | bleu bleue | blau | es azul azul
green | vert verte | grün | es verde verde
white | blanc blanche | weiß | es blanco blanca
black | noir noire | schwarz | es negro negra
perfect | parfait parfaite | perfekt | es perfecto perfecta
"""
)
_FOOD_QUALITIES = parse_adjectives(
    """
hot | chaud chaude | heiß | está caliente caliente
cold | froid froide | kalt | está frío fría
good | bon bonne | gut | está bueno buena
delicious | délicieux délicieuse | köstlich | está delicioso deliciosa
expensive | cher chère | teuer | es caro cara
"""
)
_PRAISE = parse_adjectives(
    """
wonderful | merveilleux merveilleuse | wunderbar | es maravilloso maravillosa
magnificent | magnifique magnifique | prächtig | es magnífico magnífica
"""
)
_NUMBERS = parse_plain(
    """
two | deux | zwei | dos
three | trois | drei | tres
four | quatre | vier | cuatro
five | cinq | fünf | cinco
six | six | sechs | seis
seven | sept | sieben | siete
eight | huit | acht | ocho
nine | neuf | neun | nueve
ten | dix | zehn | diez
eleven | onze | elf | once
twelve | douze | zwölf | doce
fifteen | quinze | fünfzehn | quince
twenty | vingt | zwanzig | veinte
thirty | trente | dreißig | treinta
forty | quarante | vierzig | cuarenta
fifty | cinquante | fünfzig | cincuenta
"""
)
_HOURS = _NUMBERS[:11]
_DAYS = parse_plain(
    """
Monday | lundi | Montag | lunes
Tuesday | mardi | Dienstag | martes
Wednesday | mercredi | Mittwoch | miércoles
Thursday | jeudi | Donnerstag | jueves
Friday | vendredi | Freitag | viernes
Saturday | samedi | Samstag | sábado
Sunday | dimanche | Sonntag | domingo
"""
)
_MONTHS = parse_plain(
    """
January | janvier | Januar | enero
February | février | Februar | febrero
March | mars | März | marzo
April | avril | April | abril
May | mai | Mai | mayo
June | juin | Juni | junio
July | juillet | Juli | julio
August | août | August | agosto
September | septembre | September | septiembre
October | octobre | Oktober | octubre
November | novembre | November | noviembre
December | décembre | Dezember | diciembre
"""
)
_CITIES = parse_plain(
    """
Paris | Paris | Paris | París
London | Londres | London | Londres
Berlin | Berlin | Berlin | Berlín
Madrid | Madrid | Madrid | Madrid
Rome | Rome | Rom | Roma
Vienna | Vienne | Wien | Viena
Lisbon | Lisbonne | Lissabon | Lisboa
Brussels | Bruxelles | Brüssel | Bruselas
Geneva | Genève | Genf | Ginebra
Munich | Munich | München | Múnich
Cologne | Cologne | Köln | Colonia
Seville | Séville | Sevilla | Sevilla
Barcelona | Barcelone | Barcelona | Barcelona
Prague | Prague | Prag | Praga
Warsaw | Varsovie | Warschau | Varsovia
Moscow | Moscou | Moskau | Moscú
Dublin | Dublin | Dublin | Dublín
Milan | Milan | Mailand | Milán
Venice | Venise | Venedig | Venecia
Boston | Boston | Boston | Boston
"""
)
_LANGUAGE_NAMES = parse_languages(
    """
English | anglais | Englisch | inglés
French | français | Französisch | francés
German | allemand | Deutsch | alemán
Spanish | espagnol | Spanisch | español
Italian | italien | Italienisch | italiano
Portuguese | portugais | Portugiesisch | portugués
Chinese | chinois | Chinesisch | chino
Japanese | japonais | Japanisch | japonés
Arabic | arabe | Arabisch | árabe
Russian | russe | Russisch | ruso
"""
)
_FIRST_NAMES = parse_plain(
    """
Anna | Anna | Anna | Anna
Marie | Marie | Marie | Marie
Peter | Peter | Peter | Peter
Lucas | Lucas | Lucas | Lucas
Sophie | Sophie | Sophie | Sophie
Thomas | Thomas | Thomas | Thomas
Julia | Julia | Julia | Julia
David | David | David | David
Laura | Laura | Laura | Laura
Martin | Martin | Martin | Martin
Clara | Clara | Clara | Clara
Simon | Simon | Simon | Simon
Emma | Emma | Emma | Emma
Paul | Paul | Paul | Paul
Nina | Nina | Nina | Nina
Oscar | Oscar | Oscar | Oscar
"""
)

SLOTS: Final[dict[str, tuple[Word, ...]]] = {
    "Place": PLACES,
    "OtherPlace": PLACES,
    "Item": FOODS + THINGS,
    "OtherItem": FOODS + THINGS,
    "Food": FOODS,
    "Thing": THINGS,
    "Person": PERSONS,
    "PlaceQuality": _PLACE_QUALITIES,
    "ThingQuality": _PLACE_QUALITIES + _THING_QUALITIES,
    "Look": _PLACE_QUALITIES + _THING_QUALITIES + _COLOURS,
    "FoodQuality": _FOOD_QUALITIES,
    "Praise": _PRAISE,
    "Number": _NUMBERS,
    "Hour": _HOURS,
    "Day": _DAYS,
    "Month": _MONTHS,
    "City": _CITIES,
    "OtherCity": _CITIES,
    "Language": _LANGUAGE_NAMES,
    "Vehicle": VEHICLES,
    "Name": _FIRST_NAMES,
}
"""What may stand in a slot; a slot named ``Other...`` never repeats the filler of its sibling."""
