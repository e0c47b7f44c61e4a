"""The text a converted model is verified with where the operator brings none.

Three sentences for each language: one with a number, one question, one with a name. They were written for this project
and are nobody's test set, so a model cannot have learned them.
"""
# ruff: noqa: RUF001 - quotation marks, commas and letters are those of the languages

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import count, islice
from typing import Final, NamedTuple

from handler.languages import FLORES_200, language_candidates
from handler.settings import Family

MOST_REQUESTS: Final = 16
"""Enough for 32 languages; transformers answers 32 times in float32, minutes of a large model on a CPU."""

T5_PROMPTS: Final = (
    "translate English to German: The weather will be much better at the weekend.",
    "translate English to French: We are looking for a small house with 3 rooms near the sea.",
    "translate English to Romanian: My brother Paul, who lives abroad, has two children.",
    (
        "summarize: The bridge in the north of the town was closed on Monday after workers found a crack in one of its "
        "pillars. Drivers have to use the tunnel instead, which adds about 20 minutes to the journey. The repair will "
        "take at least until the end of the month."
    ),
    "cola sentence: The keys of the old car is lying on the kitchen table.",
    "Answer the question: Which is heavier, a kilogram of iron or half a kilogram of feathers?",
    "Is this review positive or negative? The soup was cold, the waiter was rude, and we will not come back.",
    "The children <extra_id_0> in the garden until it <extra_id_1> dark.",
)
"""Of the kinds that T5 (https://arxiv.org/abs/1910.10683) and Flan-T5 (https://arxiv.org/abs/2210.11416) learned."""

GOLDEN: Final[dict[str, tuple[str, ...]]] = {
    "eng_Latn": (
        "The train to the coast leaves at 7 o'clock from platform 3.",
        "Could you tell me where the nearest pharmacy is?",
        "My neighbour Alice, who is a nurse, often works at night.",
    ),
    "zho_Hans": (
        "这家饭馆每天晚上10点关门。",
        "请问去火车站应该坐哪一路公交车？",
        "小王昨天生病了，所以今天没来上班。",
    ),
    "hin_Deva": (
        "हमारे गाँव से शहर तक पहुँचने में 2 घंटे लगते हैं।",
        "क्या आप मुझे बता सकते हैं कि डाकघर कहाँ है?",
        "रवि बहुत थका हुआ था, इसलिए वह जल्दी सो गया।",
    ),
    "spa_Latn": (
        "Mi abuela tiene 83 años y todavía cuida su jardín cada mañana.",
        "¿Sabes dónde puedo dejar la bicicleta durante la noche?",
        "Lucía quería ir a la playa, pero empezó a llover por la tarde.",
    ),
    "arb_Arab": (
        "يفتح المتجر أبوابه في الساعة 9 صباحا كل يوم.",
        "هل يمكنك أن تخبرني أين تقع محطة القطار؟",
        "سافرت ليلى إلى المدينة، لكنها عادت قبل غروب الشمس.",
    ),
    "fra_Latn": (
        "Nous avons acheté 12 œufs et un pain au marché ce matin.",
        "Est-ce que tu peux fermer la fenêtre avant de partir ?",
        "Camille, la sœur de mon voisin, joue du violon tous les soirs.",
    ),
    "ben_Beng": (
        "আমার ছোট বোনের বয়স এখন ১১ বছর।",
        "আপনি কি বলতে পারেন বাজারটি কোন দিকে?",
        "রহিম ছাতা আনেনি, তাই সে বৃষ্টিতে ভিজে গেছে।",
    ),
    "por_Latn": (
        "A biblioteca da nossa rua tem mais de 20 mil livros.",
        "Você pode me ajudar a levar estas caixas até o carro?",
        "Beatriz mudou de cidade, mas ainda liga para os amigos todo domingo.",
    ),
    "rus_Cyrl": (
        "В нашем доме 9 этажей, но лифт снова не работает.",
        "Ты не знаешь, где лежат ключи от машины?",
        "Вчера Марина испекла пирог, и мы пили чай до вечера.",
    ),
    "urd_Arab": (
        "اس کتاب میں 250 صفحات ہیں اور بہت سی تصویریں بھی۔",
        "کیا آپ بتا سکتے ہیں کہ بس کب آئے گی؟",
        "عائشہ بازار گئی تھی، لیکن دکانیں بند تھیں۔",
    ),
    "ind_Latn": (
        "Kereta ke Bandung berangkat setiap hari pada pukul 6 pagi.",
        "Apakah Anda tahu di mana saya bisa menukar uang?",
        "Budi sudah pulang, tetapi tasnya masih tertinggal di kantor.",
    ),
    "deu_Latn": (
        "Der Laden an der Ecke hat heute nur bis 18 Uhr geöffnet.",
        "Wissen Sie, wann der nächste Bus zum Bahnhof fährt?",
        "Jonas hat lange gewartet, aber seine Freunde kamen nicht mehr.",
    ),
    "jpn_Jpan": (
        "この町には大きな図書館が3つあります。",
        "明日の朝、何時に駅で会いましょうか。",
        "田中さんは雨の中を歩いて、駅まで友達を迎えに行きました。",
    ),
    "swh_Latn": (
        "Shule yetu ina wanafunzi 300 na walimu 12.",
        "Unaweza kunionyesha njia ya kwenda sokoni?",
        "Juma alichelewa kazini, kwa sababu basi liliharibika njiani.",
    ),
    "tur_Latn": (
        "Otobüs her sabah saat 8'de okulun önünden kalkıyor.",
        "Yarın akşam bizimle yemeğe gelmek ister misin?",
        "Ayşe pencereyi açtı, çünkü oda çok sıcak olmuştu.",
    ),
    "kor_Hang": (
        "우리 집에서 학교까지 걸어서 20분쯤 걸려요.",
        "내일 저녁에 저와 같이 영화 보러 갈래요?",
        "민수는 열심히 공부했지만, 시험이 생각보다 어려웠어요.",
    ),
    "vie_Latn": (
        "Cửa hàng này mở cửa từ 8 giờ sáng đến tối.",
        "Bạn có biết nhà ga gần nhất ở đâu không?",
        "Lan thích đọc sách, nhưng dạo này cô ấy rất bận.",
    ),
    "tam_Taml": (
        "எங்கள் வீட்டில் 5 பேர் ஒன்றாக வாழ்கிறோம்.",
        "இந்தப் பேருந்து ரயில் நிலையம் வழியாகச் செல்லுமா?",
        "மழை பெய்தது, அதனால் கமலா வீட்டிலேயே இருந்தாள்.",
    ),
    "ita_Latn": (
        "Il museo apre alle 9 e l'ingresso costa 15 euro.",
        "A che ora dobbiamo essere alla stazione domani mattina?",
        "Quando arriva Marco, prepariamo insieme la cena per tutti.",
    ),
    "pes_Arab": (
        "برادرم ۱۵ سال است که در این شهر زندگی می‌کند.",
        "آیا می‌دانی نزدیک‌ترین ایستگاه مترو کجاست؟",
        "مریم چای درست کرد، اما کسی به خانه نیامد.",
    ),
    "tha_Thai": (
        "ร้านนี้เปิดทุกวันตั้งแต่ 9 โมงเช้า",
        "คุณรู้ไหมว่าสถานีรถไฟอยู่ที่ไหน",
        "สมชายตื่นสาย เขาจึงไปทำงานไม่ทัน",
    ),
    "zho_Hant": (
        "我家附近有2個很大的公園。",
        "請問這裡可以用信用卡付錢嗎？",
        "小美帶了雨傘，可是今天一直沒有下雨。",
    ),
    "tgl_Latn": (
        "Bumili ako ng 3 kilong mangga sa palengke kanina.",
        "Alam mo ba kung saan ang pinakamalapit na botika?",
        "Maagang umuwi si Maria, dahil masama ang pakiramdam niya.",
    ),
    "pol_Latn": (
        "W naszej klasie jest 24 uczniów i tylko jedna nauczycielka.",
        "Czy mogę tutaj zapłacić kartą, czy potrzebuję gotówki?",
        "Zosia zgubiła klucze, więc czekała na schodach do wieczora.",
    ),
    "ukr_Cyrl": (
        "До найближчої зупинки треба йти приблизно 10 хвилин.",
        "Чи можна тут купити квитки на вечірній потяг?",
        "Оксана любить гори, тому кожного літа їде в Карпати.",
    ),
    "nld_Latn": (
        "We hebben gisteren 25 kilometer langs de rivier gefietst.",
        "Hoe laat begint de film die je vanavond wilt zien?",
        "Mijn broer Daan, die in Utrecht woont, komt morgen op bezoek.",
    ),
    "ron_Latn": (
        "Am cumpărat 2 kilograme de mere și o pâine caldă.",
        "Știi cumva la ce oră se închide farmacia de lângă gară?",
        "Andrei a plecat devreme, pentru că avea un drum lung.",
    ),
    "ell_Grek": (
        "Το εισιτήριο για το νησί κοστίζει 38 ευρώ το καλοκαίρι.",
        "Μπορείτε να μου πείτε πού είναι το φαρμακείο;",
        "Η Ελένη διαβάζει πολύ, αλλά δεν της αρέσουν τα μαθηματικά.",
    ),
    "hun_Latn": (
        "A boltban vettem 3 kiló almát és egy üveg mézet.",
        "Meg tudná mondani, hol van a legközelebbi gyógyszertár?",
        "Péter sokáig várt, de a busz végül nem jött meg.",
    ),
    "swe_Latn": (
        "Vi bor på fjärde våningen i ett hus från 1932.",
        "Kan du hjälpa mig att bära upp de här lådorna?",
        "Erik glömde sin väska på tåget, men konduktören hittade den.",
    ),
    "ces_Latn": (
        "V neděli jsme v lese našli 17 hub a spoustu borůvek.",
        "Kdy přijede další tramvaj směrem k nádraží?",
        "Tomáš rád vaří, ale nádobí po něm vždycky myje sestra.",
    ),
    "heb_Hebr": (
        "אתמול קנינו בשוק 6 כיסאות חדשים למטבח.",
        "אתה יודע מתי יוצא האוטובוס הבא לירושלים?",
        "דנה אוהבת לרקוד, אבל היא לא יודעת לשיר.",
    ),
    "afr_Latn": (
        "Die winkel op die hoek maak elke oggend om 8 uur oop.",
        "Weet jy waar ek my fiets veilig kan los?",
        "Pieter het laat gekom, want hy kon nie sy sleutels kry nie.",
    ),
    "bul_Cyrl": (
        "Влакът за морето закъсня с 40 минути заради бурята.",
        "Къде мога да намеря добър ресторант наблизо?",
        "Иван обеща да се обади, но телефонът му беше изключен.",
    ),
    "srp_Cyrl": (
        "Наш воз полази у 6 сати ујутру са другог колосека.",
        "Можете ли да ми кажете где се налази најближа апотека?",
        "Милан воли да пева, али не свира ниједан инструмент.",
    ),
    "cat_Latn": (
        "El forn del barri obre cada dia a les 6 del matí.",
        "Em podries dir on és la farmàcia més propera?",
        "La Núria va arribar tard, perquè havia perdut l'autobús.",
    ),
    "fin_Latn": (
        "Juna Helsinkiin lähtee laiturilta 4 puolen tunnin päästä.",
        "Tiedätkö, mihin aikaan kirjasto menee tänään kiinni?",
        "Matti halusi uida, mutta järven vesi oli liian kylmää.",
    ),
    "dan_Latn": (
        "Min datter fylder 7 år på lørdag og glæder sig meget.",
        "Hvornår kører den næste færge over til øen?",
        "Mette ville gerne med, men hun skulle passe sin lillebror.",
    ),
    "nob_Latn": (
        "Hytta ligger 14 kilometer unna den nærmeste butikken.",
        "Vet du hvor jeg kan kjøpe billetter til kampen?",
        "Ingrid tok på seg skoene, og så løp hun ut i snøen.",
    ),
    "slk_Latn": (
        "Do najbližšej dediny je to asi 5 kilometrov pešo.",
        "Viete mi povedať, kde sa dá kúpiť lístok?",
        "Jana prišla neskoro, lebo jej ušiel autobus.",
    ),
    "hrv_Latn": (
        "Vlak za Zagreb polazi za 20 minuta s drugog perona.",
        "Možeš li mi reći gdje je najbliža ljekarna?",
        "Ana je zaboravila kišobran, pa je stigla kući posve mokra.",
    ),
    "lit_Latn": (
        "Autobusas į Vilnių išvyksta po 15 minučių.",
        "Ar galite pasakyti, kur yra artimiausia vaistinė?",
        "Jonas pamiršo raktus, todėl laukė prie durų.",
    ),
    "slv_Latn": (
        "Do morja imamo še približno 30 kilometrov vožnje.",
        "Ali veste, kdaj odpelje naslednji vlak?",
        "Maja zelo rada bere, zato vsak teden obišče knjižnico.",
    ),
    "glg_Latn": (
        "O meu avó ten 90 anos e aínda vai á feira todas as semanas.",
        "Sabes onde está a parada do autobús máis próxima?",
        "Uxía chegou tarde, porque perdera o tren da mañá.",
    ),
    "mkd_Cyrl": (
        "Продавницата на аголот се отвора во 7 часот наутро.",
        "Дали знаеш каде е најблиската аптека?",
        "Елена сакаше да дојде, но возот доцнеше многу.",
    ),
    "lvs_Latn": (
        "Veikals šodien ir atvērts tikai līdz pulksten 6.",
        "Vai jūs zināt, kur atrodas tuvākā aptieka?",
        "Anna gribēja palikt mājās, bet draugi viņu pierunāja.",
    ),
    "est_Latn": (
        "Meie majas elab 16 inimest ja kolm kassi.",
        "Kas sa tead, kus asub lähim apteek?",
        "Kati tahtis jalutada, aga väljas sadas vihma.",
    ),
    "epo_Latn": (
        "En nia urbo estas 3 parkoj kaj unu malnova kastelo.",
        "Ĉu vi scias, kie troviĝas la plej proksima stacidomo?",
        "Sofia volis resti hejme, sed ŝiaj amikoj insistis.",
    ),
}
"""By FLORES-200 code, roughly by how many speak it: where not all languages can be asked for, the first are."""


class GoldenRequest(NamedTuple):
    """What to ask of a model; the languages are empty where they mean nothing to it."""

    text: str
    source_lang: str = ""
    target_lang: str = ""


def golden_requests(family: Family, languages: Sequence[str], *, tags: Collection[str] = ()) -> list[GoldenRequest]:
    """Return at most ``MOST_REQUESTS`` requests, always the same.

    Args:
        family: ``nllb`` is asked for translations between ``languages``, ``t5`` to do what its prompts say.
        languages: The codes the model is deployed with; for T5 those its vocabulary is pruned to, if it is.
        tags: MADLAD's, ``<2de>``: where there are any, T5's prompts are sentences behind one of them.

    Raises:
        ValueError: NLLB without a language.
    """
    if family == "nllb":
        if not languages:
            message = "no language to verify"
            raise ValueError(message)
        requests = _translations(list(dict.fromkeys(languages)))
    elif tags:
        requests = _tagged(languages, tags)
    elif languages:
        requests = _prompts(languages)
    else:
        requests = (GoldenRequest(prompt) for prompt in T5_PROMPTS)
    return list(dict.fromkeys(islice(requests, MOST_REQUESTS)))  # few languages come to the same request again


def _translations(languages: Sequence[str]) -> Iterator[GoldenRequest]:
    """Ask for ever more translations, each between the languages that had fewest so far.

    A language without sentences is a target only. Where none has any, English is passed off as the first: the answer
    is no translation, but it is the same before and after a conversion.
    """
    texts = {code: GOLDEN[code] for code in GOLDEN if code in languages} or {languages[0]: GOLDEN["eng_Latn"]}
    targets = sorted(languages, key=texts.__contains__)  # what can only be a target comes first
    sent, seen = Counter[str](), Counter[str]()
    pairs = Counter[tuple[str, str]]()
    while True:
        source = min(texts, key=lambda code: (seen[code], sent[code]))
        others = [code for code in targets if code != source] or targets
        target = min(others, key=lambda code: (seen[code], pairs[source, code], pairs[code, source]))
        yield GoldenRequest(texts[source][sent[source] % len(texts[source])], source, target)
        sent[source] += 1
        seen.update((source, target))
        pairs[source, target] += 1


def _prompts(languages: Sequence[str]) -> Iterator[GoldenRequest]:
    """Ask for translations in T5's own words: other English prompts need pieces that a pruned model lacks."""
    for text, source, target in _translations(list(dict.fromkeys(languages))):
        yield GoldenRequest(f"translate {FLORES_200[source]} to {FLORES_200[target]}: {text}")


def _tagged(languages: Sequence[str], tags: Collection[str]) -> Iterator[GoldenRequest]:
    """Put the tags in turn before sentences of other languages.

    The tags are those of deployed languages, else all, the languages of ``GOLDEN`` first; the sentences are the
    deployed languages', else English.
    """
    meanings = {tag: set(language_candidates(tag[2:-1])) for tag in sorted(tags)}
    deployed = [tag for tag, codes in meanings.items() if not codes.isdisjoint(languages)]
    targets = deployed or sorted(meanings, key=lambda tag: meanings[tag].isdisjoint(GOLDEN))
    sources = [code for code in GOLDEN if not languages or code in languages] or ["eng_Latn"]
    for number in count():
        turn, place = divmod(number, len(targets))
        target = targets[place]
        texts = [GOLDEN[code] for code in sources if code not in meanings[target]] or [GOLDEN[sources[0]]]
        text = texts[number % len(texts)]
        yield GoldenRequest(f"{target} {text[turn % len(text)]}")
