"""Sentence templates about people, travelling and time. :mod:`model_bake.demo.templates` explains the notation."""

from typing import Final

JOURNEY: Final = """
{Person.my} is buying {Item.a}.
{Person.my} achète {Item.a}.
{Person.my} kauft {Item.a_acc}.
{Person.my} compra {Item.a}.

{Person.my} has {Number.x} {Item.plural}.
{Person.my} a {Number.x} {Item.plural}.
{Person.my} hat {Number.x} {Item.plural}.
{Person.my} tiene {Number.x} {Item.plural}.

{Person.my} is looking for {Item.the}.
{Person.my} cherche {Item.the}.
{Person.my} sucht {Item.the_acc}.
{Person.my} busca {Item.the}.

{Person.my} lives in {City.x}.
{Person.my} habite à {City.x}.
{Person.my} wohnt in {City.x}.
{Person.my} vive en {City.x}.

{Person.my} speaks {Language.x}.
{Person.my} parle {Language.x}.
{Person.my} spricht {Language.x}.
{Person.my} habla {Language.x}.

{Person.my} does not speak {Language.x}.
{Person.my} ne parle pas {Language.x}.
{Person.my} spricht kein {Language.x}.
{Person.my} no habla {Language.x}.

{Person.my} is waiting at {Place.the}.
{Person.my} attend {Place.to}.
{Person.my} wartet {Place.at}.
{Person.my} espera en {Place.the}.

{Person.my} arrives on {Day.x} at {Hour.x} o'clock.
{Person.my} arrive {Day.x} à {Hour.x} heures.
{Person.my} kommt am {Day.x} um {Hour.x} Uhr an.
{Person.my} llega el {Day.x} a las {Hour.x}.

{Person.my} arrives in {Month.x}.
{Person.my} arrive en {Month.x}.
{Person.my} kommt im {Month.x} an.
{Person.my} llega en {Month.x}.

{Person.my} works in {City.x}.
{Person.my} travaille à {City.x}.
{Person.my} arbeitet in {City.x}.
{Person.my} trabaja en {City.x}.

Do you speak {Language.x}?
Parlez-vous {Language.x} ?
Sprechen Sie {Language.x}?
¿Habla usted {Language.x}?

I speak {Language.x}.
Je parle {Language.x}.
Ich spreche {Language.x}.
Hablo {Language.x}.

I do not speak {Language.x}.
Je ne parle pas {Language.x}.
Ich spreche kein {Language.x}.
No hablo {Language.x}.

I speak a little {Language.x}.
Je parle un peu {Language.x}.
Ich spreche ein wenig {Language.x}.
Hablo un poco de {Language.x}.

I am learning {Language.x} in {City.x}.
J'apprends {Language.the} à {City.x}.
Ich lerne {Language.x} in {City.x}.
Aprendo {Language.x} en {City.x}.

I live in {City.x}.
J'habite à {City.x}.
Ich wohne in {City.x}.
Vivo en {City.x}.

My name is {Name.x}.
Je m'appelle {Name.x}.
Ich heiße {Name.x}.
Me llamo {Name.x}.

My name is {Name.x} and I live in {City.x}.
Je m'appelle {Name.x} et j'habite à {City.x}.
Ich heiße {Name.x} und wohne in {City.x}.
Me llamo {Name.x} y vivo en {City.x}.

{Name.x} comes from {City.x}.
{Name.x} vient de {City.x}.
{Name.x} kommt aus {City.x}.
{Name.x} viene de {City.x}.

{Name.x} is {Number.x} years old.
{Name.x} a {Number.x} ans.
{Name.x} ist {Number.x} Jahre alt.
{Name.x} tiene {Number.x} años.

{Name.x} is going to {Place.the} with {Person.my}.
{Name.x} va {Place.to} avec {Person.my}.
{Name.x} geht mit {Person.my_dat} {Place.to}.
{Name.x} va {Place.to} con {Person.my}.

{Vehicle.the} to {City.x} leaves at {Hour.x} o'clock.
{Vehicle.the} pour {City.x} part à {Hour.x} heures.
{Vehicle.the} nach {City.x} {Vehicle.goes} um {Hour.x} Uhr ab.
{Vehicle.the} a {City.x} sale a las {Hour.x}.

When does {Vehicle.the} to {City.x} leave?
Quand part {Vehicle.the} pour {City.x} ?
Wann {Vehicle.goes} {Vehicle.the} nach {City.x} ab?
¿Cuándo sale {Vehicle.the} a {City.x}?

{Vehicle.the} from {City.x} to {OtherCity.x} is late.
{Vehicle.the} de {City.x} à {OtherCity.x} est en retard.
{Vehicle.the} von {City.x} nach {OtherCity.x} hat Verspätung.
{Vehicle.the} de {City.x} a {OtherCity.x} llega tarde.

A ticket to {City.x}, please.
Un billet pour {City.x}, s'il vous plaît.
Eine Fahrkarte nach {City.x}, bitte.
Un billete a {City.x}, por favor.

{Number.x} tickets to {City.x}, please.
{Number.x} billets pour {City.x}, s'il vous plaît.
{Number.x} Fahrkarten nach {City.x}, bitte.
{Number.x} billetes a {City.x}, por favor.

We are travelling to {City.x} on {Day.x}.
Nous partons pour {City.x} {Day.x}.
Wir reisen am {Day.x} nach {City.x}.
Viajamos a {City.x} el {Day.x}.

We are travelling to {City.x} in {Month.x}.
Nous partons pour {City.x} en {Month.x}.
Wir reisen im {Month.x} nach {City.x}.
Viajamos a {City.x} en {Month.x}.

I am staying in {City.x} for {Number.x} days.
Je reste {Number.x} jours à {City.x}.
Ich bleibe {Number.x} Tage in {City.x}.
Me quedo {Number.x} días en {City.x}.

It is {Number.x} kilometres from {City.x} to {OtherCity.x}.
Il y a {Number.x} kilomètres de {City.x} à {OtherCity.x}.
Es sind {Number.x} Kilometer von {City.x} nach {OtherCity.x}.
Hay {Number.x} kilómetros de {City.x} a {OtherCity.x}.

I have a reservation for {Number.x} people.
J'ai une réservation pour {Number.x} personnes.
Ich habe eine Reservierung für {Number.x} Personen.
Tengo una reserva para {Number.x} personas.

A room for {Number.x} nights, please.
Une chambre pour {Number.x} nuits, s'il vous plaît.
Ein Zimmer für {Number.x} Nächte, bitte.
Una habitación para {Number.x} noches, por favor.

A table for {Number.x} people at {Hour.x} o'clock.
Une table pour {Number.x} personnes à {Hour.x} heures.
Ein Tisch für {Number.x} Personen um {Hour.x} Uhr.
Una mesa para {Number.x} personas a las {Hour.x}.

A table for {Number.x} people, please.
Une table pour {Number.x} personnes, s'il vous plaît.
Ein Tisch für {Number.x} Personen, bitte.
Una mesa para {Number.x} personas, por favor.

Hello, {Name.x}!
Bonjour, {Name.x} !
Hallo, {Name.x}!
¡Hola, {Name.x}!

Good evening, {Name.x}.
Bonsoir, {Name.x}.
Guten Abend, {Name.x}.
Buenas tardes, {Name.x}.

Goodbye, {Name.x}.
Au revoir, {Name.x}.
Auf Wiedersehen, {Name.x}.
Adiós, {Name.x}.

Thank you, {Name.x}.
Merci, {Name.x}.
Danke, {Name.x}.
Gracias, {Name.x}.

Today is {Day.x}.
Aujourd'hui, c'est {Day.x}.
Heute ist {Day.x}.
Hoy es {Day.x}.

It is {Hour.x} o'clock.
Il est {Hour.x} heures.
Es ist {Hour.x} Uhr.
Son las {Hour.x}.

The weather is nice in {City.x} in {Month.x}.
Il fait beau à {City.x} en {Month.x}.
Das Wetter ist im {Month.x} in {City.x} schön.
Hace buen tiempo en {City.x} en {Month.x}.

It is cold in {City.x} in {Month.x}.
Il fait froid à {City.x} en {Month.x}.
Im {Month.x} ist es in {City.x} kalt.
Hace frío en {City.x} en {Month.x}.
"""
