"""The phrasebook's nouns. :mod:`model_bake.demo.lexicon` says how a line is read."""

from typing import Final

from model_bake.demo.lexicon import Word, parse_nouns

PLACES: Final[tuple[Word, ...]] = parse_nouns(
    """
train station=station | gare f | Bahnhof m, am | estación f
airport | aéroport m | Flughafen m, am | aeropuerto m
hotel | hôtel m | Hotel n, im | hotel m
museum | musée m | Museum n, am | museo m
bank | banque f | Bank f, in der | banco m
pharmacy | pharmacie f | Apotheke f, in der | farmacia f
hospital | hôpital m | Krankenhaus n, im | hospital m
beach | plage f | Strand m, am | playa f
market | marché m | Markt m, auf dem | mercado m
restaurant | restaurant m | Restaurant n, im | restaurante m
supermarket | supermarché m | Supermarkt m, im | supermercado m
library | bibliothèque f | Bibliothek f, in der | biblioteca f
castle | château m | Schloss n, am | castillo m
park | parc m | Park m, im | parque m
cathedral | cathédrale f | Kathedrale f, an der | catedral f
theatre=theater | théâtre m | Theater n, am | teatro m
harbour=harbor | port m | Hafen m, am | puerto m
embassy | ambassade f | Botschaft f, in der | embajada f
church | église f | Kirche f, an der | iglesia f
bakery | boulangerie f | Bäckerei f, in der | panadería f
university | université f | Universität f, an der | universidad f
cinema | cinéma m | Kino n, am | cine m
bridge | pont m | Brücke f, an der | puente m
school | école f | Schule f, an der | escuela f
swimming pool | piscine f | Schwimmbad n, im | piscina f
post office | bureau de poste m | Postamt n, im | oficina de correos f
police station | commissariat m | Polizeiwache f, auf der | comisaría f
bus stop | arrêt de bus m | Bushaltestelle f, an der | parada de autobús f
town hall | mairie f | Rathaus n, am | ayuntamiento m
stadium | stade m | Stadion n, am | estadio m
house | maison f | Haus n, am | casa f
""",
    "at",
)
FOODS: Final[tuple[Word, ...]] = parse_nouns(
    """
coffee, coffees | café m, cafés | Kaffee m, Kaffees | café m, cafés
tea, teas | thé m, thés | Tee m, Tees | té m, tés
beer, beers | bière f, bières | Bier n, Biere | cerveza f, cervezas
sandwich, sandwiches | sandwich m, sandwichs | Sandwich n, Sandwiches | bocadillo m, bocadillos
soup, soups | soupe f, soupes | Suppe f, Suppen | sopa f, sopas
salad, salads | salade f, salades | Salat m, Salate | ensalada f, ensaladas
pizza, pizzas | pizza f, pizzas | Pizza f, Pizzas | pizza f, pizzas
apple, apples | pomme f, pommes | Apfel m, Äpfel | manzana f, manzanas
cake, cakes | gâteau m, gâteaux | Kuchen m, Kuchen | pastel m, pasteles
""",
    "plural",
)
THINGS: Final[tuple[Word, ...]] = parse_nouns(
    """
ticket, tickets | billet m, billets | Fahrkarte f, Fahrkarten | billete m, billetes
map, maps | carte f, cartes | Karte f, Karten | mapa m, mapas
umbrella, umbrellas | parapluie m, parapluies | Regenschirm m, Regenschirme | paraguas m, paraguas
book, books | livre m, livres | Buch n, Bücher | libro m, libros
newspaper, newspapers | journal m, journaux | Zeitung f, Zeitungen | periódico m, periódicos
phone, phones | téléphone m, téléphones | Telefon n, Telefone | teléfono m, teléfonos
key, keys | clé f, clés | Schlüssel m, Schlüssel | llave f, llaves
bag, bags | sac m, sacs | Tasche f, Taschen | bolso m, bolsos
suitcase, suitcases | valise f, valises | Koffer m, Koffer | maleta f, maletas
passport, passports | passeport m, passeports | Pass m, Pässe | pasaporte m, pasaportes
camera, cameras | appareil photo m, appareils photo | Kamera f, Kameras | cámara f, cámaras
shirt, shirts | chemise f, chemises | Hemd n, Hemden | camisa f, camisas
coat, coats | manteau m, manteaux | Mantel m, Mäntel | abrigo m, abrigos
bottle, bottles | bouteille f, bouteilles | Flasche f, Flaschen | botella f, botellas
knife, knives | couteau m, couteaux | Messer n, Messer | cuchillo m, cuchillos
fork, forks | fourchette f, fourchettes | Gabel f, Gabeln | tenedor m, tenedores
spoon, spoons | cuillère f, cuillères | Löffel m, Löffel | cuchara f, cucharas
towel, towels | serviette f, serviettes | Handtuch n, Handtücher | toalla f, toallas
pillow, pillows | oreiller m, oreillers | Kissen n, Kissen | almohada f, almohadas
blanket, blankets | couverture f, couvertures | Decke f, Decken | manta f, mantas
bicycle, bicycles | vélo m, vélos | Fahrrad n, Fahrräder | bicicleta f, bicicletas
car, cars | voiture f, voitures | Auto n, Autos | coche m, coches
postcard, postcards | carte postale f, cartes postales | Postkarte f, Postkarten | postal f, postales
""",
    "plural",
)
PERSONS: Final[tuple[Word, ...]] = parse_nouns(
    """
brother | frère m | Bruder m | hermano m
sister | sœur f | Schwester f | hermana f
mother | mère f | Mutter f | madre f
father | père m | Vater m | padre m
son | fils m | Sohn m | hijo m
daughter | fille f | Tochter f | hija f
uncle | oncle m | Onkel m | tío m
aunt | tante f | Tante f | tía f
husband | mari m | Mann m | marido m
wife | femme f | Frau f | mujer f
grandmother | grand-mère f | Großmutter f | abuela f
grandfather | grand-père m | Großvater m | abuelo m
cousin | cousin m | Cousin m | primo m
neighbour=neighbor | voisin m | Nachbar m, Nachbarn | vecino m
colleague | collègue m | Kollege m, Kollegen | colega m
doctor | médecin m | Arzt m | médico m
teacher | professeur m | Lehrer m | profesor m
boss | chef m | Chef m | jefe m
""",
    "oblique",
)
VEHICLES: Final[tuple[Word, ...]] = parse_nouns(
    """
bus | bus m | Bus m, fährt | autobús m
train | train m | Zug m, fährt | tren m
plane | avion m | Flugzeug n, fliegt | avión m
boat | bateau m | Schiff n, fährt | barco m
taxi | taxi m | Taxi n, fährt | taxi m
""",
    "goes",
)
