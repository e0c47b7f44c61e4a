"""Sentence templates about places, things and shopping. :mod:`model_bake.demo.templates` explains the notation."""

from typing import Final

TOWN: Final = """
Where is {Place.the}?
Où est {Place.the} ?
Wo ist {Place.the}?
¿Dónde está {Place.the}?

Where is {Place.the}, please?
Où est {Place.the}, s'il vous plaît ?
Wo ist {Place.the}, bitte?
¿Dónde está {Place.the}, por favor?

How do I get to {Place.the}?
Comment aller {Place.to} ?
Wie komme ich {Place.to}?
¿Cómo llego {Place.to}?

How do I get from {Place.the} to {OtherPlace.the}?
Comment aller {Place.of} {OtherPlace.to} ?
Wie komme ich {Place.from} {OtherPlace.to}?
¿Cómo voy {Place.of} {OtherPlace.to}?

Is {Place.the} far from here?
Est-ce que {Place.the} est loin d'ici ?
Ist {Place.the} weit von hier?
¿Está lejos de aquí {Place.the}?

{Place.the} is next to {OtherPlace.the}.
{Place.the} est à côté {OtherPlace.of}.
{Place.the} ist neben {OtherPlace.the_dat}.
{Place.the} está al lado {OtherPlace.of}.

{Place.the} is behind {OtherPlace.the}.
{Place.the} est derrière {OtherPlace.the}.
{Place.the} ist hinter {OtherPlace.the_dat}.
{Place.the} está detrás {OtherPlace.of}.

{Place.the} is in front of {OtherPlace.the}.
{Place.the} est devant {OtherPlace.the}.
{Place.the} ist vor {OtherPlace.the_dat}.
{Place.the} está delante {OtherPlace.of}.

{Place.the} is open on {Day.x}.
{Place.the} est {Place?ouvert/ouverte} le {Day.x}.
{Place.the} ist am {Day.x} geöffnet.
{Place.the} está {Place?abierto/abierta} el {Day.x}.

{Place.the} opens at {Hour.x} o'clock.
{Place.the} ouvre à {Hour.x} heures.
{Place.the} öffnet um {Hour.x} Uhr.
{Place.the} abre a las {Hour.x}.

{Place.the} closes at {Hour.x} o'clock.
{Place.the} ferme à {Hour.x} heures.
{Place.the} schließt um {Hour.x} Uhr.
{Place.the} cierra a las {Hour.x}.

When does {Place.the} open on {Day.x}?
Quand ouvre {Place.the} le {Day.x} ?
Wann öffnet {Place.the} am {Day.x}?
¿Cuándo abre {Place.the} el {Day.x}?

We are going to {Place.the}.
Nous allons {Place.to}.
Wir gehen {Place.to}.
Vamos {Place.to}.

We are going to {Place.the} on {Day.x}.
Nous allons {Place.to} {Day.x}.
Wir gehen am {Day.x} {Place.to}.
Vamos {Place.to} el {Day.x}.

We meet at {Hour.x} o'clock in front of {Place.the}.
Nous nous retrouvons à {Hour.x} heures devant {Place.the}.
Wir treffen uns um {Hour.x} Uhr vor {Place.the_dat}.
Nos encontramos a las {Hour.x} delante {Place.of}.

{Place.the} is {PlaceQuality.}.
{Place.the} est {PlaceQuality@Place}.
{Place.the} ist {PlaceQuality@Place}.
{Place.the} {PlaceQuality.be} {PlaceQuality@Place}.

{Place.the} is very {PlaceQuality.}.
{Place.the} est très {PlaceQuality@Place}.
{Place.the} ist sehr {PlaceQuality@Place}.
{Place.the} {PlaceQuality.be} muy {PlaceQuality@Place}.

{Place.the} is {Praise.}.
{Place.the} est {Praise@Place}.
{Place.the} ist {Praise@Place}.
{Place.the} {Praise.be} {Praise@Place}.

{Thing.the} is {Look.}.
{Thing.the} est {Look@Thing}.
{Thing.the} ist {Look@Thing}.
{Thing.the} {Look.be} {Look@Thing}.

{Thing.the} is too {ThingQuality.}.
{Thing.the} est trop {ThingQuality@Thing}.
{Thing.the} ist zu {ThingQuality@Thing}.
{Thing.the} {ThingQuality.be} demasiado {ThingQuality@Thing}.

{Thing.my} is {Look.}.
{Thing.my} est {Look@Thing}.
{Thing.my} ist {Look@Thing}.
{Thing.my} {Look.be} {Look@Thing}.

{Food.the} is {FoodQuality.}.
{Food.the} est {FoodQuality@Food}.
{Food.the} ist {FoodQuality@Food}.
{Food.the} {FoodQuality.be} {FoodQuality@Food}.

{Food.the} is very {FoodQuality.}.
{Food.the} est très {FoodQuality@Food}.
{Food.the} ist sehr {FoodQuality@Food}.
{Food.the} {FoodQuality.be} muy {FoodQuality@Food}.

{Food.my} is {FoodQuality.}.
{Food.my} est {FoodQuality@Food}.
{Food.my} ist {FoodQuality@Food}.
{Food.my} {FoodQuality.be} {FoodQuality@Food}.

I would like {Item.a}.
Je voudrais {Item.a}.
Ich möchte {Item.a_acc}.
Quisiera {Item.a}.

I would like {Item.a}, please.
Je voudrais {Item.a}, s'il vous plaît.
Ich möchte bitte {Item.a_acc}.
Quisiera {Item.a}, por favor.

I would like {Number.x} {Item.plural}.
Je voudrais {Number.x} {Item.plural}.
Ich möchte {Number.x} {Item.plural}.
Quisiera {Number.x} {Item.plural}.

I would like {Number.x} {Item.plural}, please.
Je voudrais {Number.x} {Item.plural}, s'il vous plaît.
Ich möchte bitte {Number.x} {Item.plural}.
Quisiera {Number.x} {Item.plural}, por favor.

I would like {Item.a} and {OtherItem.a}.
Je voudrais {Item.a} et {OtherItem.a}.
Ich möchte {Item.a_acc} und {OtherItem.a_acc}.
Quisiera {Item.a} y {OtherItem.a}.

I would like {Item.a} and {OtherItem.a}, please.
Je voudrais {Item.a} et {OtherItem.a}, s'il vous plaît.
Ich möchte bitte {Item.a_acc} und {OtherItem.a_acc}.
Quisiera {Item.a} y {OtherItem.a}, por favor.

Do you have {Item.a}?
Avez-vous {Item.a} ?
Haben Sie {Item.a_acc}?
¿Tiene {Item.a}?

Do you have {Item.a} for {Person.my}?
Avez-vous {Item.a} pour {Person.my} ?
Haben Sie {Item.a_acc} für {Person.my_acc}?
¿Tiene {Item.a} para {Person.my}?

How much is {Item.the}?
Combien coûte {Item.the} ?
Wie viel kostet {Item.the}?
¿Cuánto cuesta {Item.the}?

{Item.the} costs {Number.x} euros.
{Item.the} coûte {Number.x} euros.
{Item.the} kostet {Number.x} Euro.
{Item.the} cuesta {Number.x} euros.

Where is {Thing.my}?
Où est {Thing.my} ?
Wo ist {Thing.my}?
¿Dónde está {Thing.my}?

I have lost {Thing.my}.
J'ai perdu {Thing.my}.
Ich habe {Thing.my_acc} verloren.
He perdido {Thing.my}.

I have lost {Thing.my} in {City.x}.
J'ai perdu {Thing.my} à {City.x}.
Ich habe {Thing.my_acc} in {City.x} verloren.
He perdido {Thing.my} en {City.x}.

I have left {Thing.my} at home.
J'ai laissé {Thing.my} à la maison.
Ich habe {Thing.my_acc} zu Hause gelassen.
He dejado {Thing.my} en casa.

We need {Item.a}.
Nous avons besoin d'{Item.a}.
Wir brauchen {Item.a_acc}.
Necesitamos {Item.a}.

We need {Number.x} {Item.plural}.
Nous avons besoin de {Number.x} {Item.plural}.
Wir brauchen {Number.x} {Item.plural}.
Necesitamos {Number.x} {Item.plural}.
"""
