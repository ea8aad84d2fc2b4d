"""Words of English, and some of other languages, by which answers are read (word lists, nothing else)."""

from __future__ import annotations

from kbsync.domain.answer_text import fold, word_set


def _folded(text: str) -> frozenset[str]:
    return frozenset(map(fold, word_set(text)))


ARTICLES = word_set("the a an la le")
LEGAL = word_set("inc corporation corp company co ltd limited llc ag se gmbh plc sa nv ab oy kg spa holding holdings")
"""What ends the name of a company."""
GENERIC = LEGAL | word_set("""
    fc cf afc sc language river mountains mountain range airport city party industry motor motors systems
    computer group sea ocean island currency stadium university records manufacturing aircraft electronics
""")
"""Words that may be added to a name or left out at its end, and it stays the same name."""
DROPPED = LEGAL | word_set("""
    language river party industry currency motor motors systems computer group records fc cf afc
""")
"""Those that may be left out also where only one word stays."""
PARTICLES = word_set("de von van der des da di del dos du al bin ibn")
TITLES = word_set("""
    president chancellor prime minister premier king queen prince princess emperor empress tsar czar sir
    dame lord lady dr mr mrs ms prof professor general colonel captain admiral marshal senator governor
    mayor pope reverend rev sheikh ayatollah imam ceo chairman chairwoman chairperson chair director coach
    manager datuk seri tun shri hajji mullah secretary judge justice comrade vice deputy acting late duke
    count baron st mt prophet
""")
ROYAL = word_set("king queen prince princess emperor empress tsar czar duke count baron")
"""Titles of people who are named after what they reign: "Prince Albert of Monaco"."""
RANKS = word_set("first federal lord lady grand supreme crown interim executive managing chief")
"""What may stand before a title as a part of it: "First Minister", "Lord Mayor"."""
NATIONALITIES = word_set("""
    american british english scottish welsh irish french german italian spanish portuguese dutch belgian
    swiss austrian polish czech slovak hungarian romanian bulgarian greek turkish russian ukrainian soviet
    swedish norwegian danish finnish icelandic estonian latvian lithuanian serbian croatian bosnian
    slovenian albanian macedonian japanese chinese korean indian pakistani bangladeshi indonesian malaysian
    thai vietnamese filipino australian canadian mexican brazilian argentine argentinian chilean colombian
    peruvian venezuelan cuban egyptian israeli iranian iraqi syrian lebanese saudi nigerian kenyan ethiopian
    african european asian jewish arab roman bavarian prussian californian florentine uk us u.s armenian
    georgian kazakh hong-kong taiwanese jamaican burmese nepali nepalese mongolian cambodian laotian ugandan tanzanian
    jordanian libyan tunisian algerian moroccan uruguayan paraguayan bolivian ecuadorian singaporean ghanaian zambian
""")
COMPASS = word_set("""
    southeast southeastern southwest southwestern northeast northeastern northwest northwestern
""")
QUARTERS = COMPASS | word_set("""
    north south east west central northern southern eastern western continental mainland sub-saharan middle horn
""")
CONTINENTS = word_set("asia europe")
DIVIDED = word_set("australia virginia ireland cyprus macedonia sahara samoa korea america timor sudan guinea")
"""Names that another place has with a point of the compass before it."""

PRAISE = word_set("""
    renowned legendary incredible exceptional talented brilliant iconic celebrated prominent acclaimed influential
    successful popular retired former notable gifted accomplished prolific esteemed distinguished remarkable amazing
    young veteran fellow
""")
"""What is said of a person or a skill and makes no other kind of it: "a renowned physicist", "their incredible
basketball"."""
DEMONYMS = {
    "argentina": "argentine", "australia": "australian", "austria": "austrian", "belgium": "belgian",
    "brazil": "brazilian", "canada": "canadian", "chile": "chilean", "china": "chinese", "denmark": "danish",
    "egypt": "egyptian", "england": "english", "finland": "finnish", "france": "french", "germany": "german",
    "greece": "greek", "hungary": "hungarian", "iceland": "icelandic", "india": "indian", "indonesia": "indonesian",
    "iran": "iranian", "ireland": "irish", "israel": "israeli", "italy": "italian", "japan": "japanese",
    "kenya": "kenyan", "mexico": "mexican", "netherlands": "dutch", "nigeria": "nigerian", "norway": "norwegian",
    "pakistan": "pakistani", "poland": "polish", "portugal": "portuguese", "romania": "romanian", "russia": "russian",
    "scotland": "scottish", "south africa": "south african", "south korea": "south korean", "spain": "spanish",
    "sweden": "swedish", "switzerland": "swiss", "thailand": "thai", "turkey": "turkish", "ukraine": "ukrainian",
    "vietnam": "vietnamese", "wales": "welsh",
}  # fmt: skip
"""What is of a country, by the country: the "Parliament of Finland" is the Finnish Parliament."""
TONGUES = word_set("language languages tongue tongues dialect dialects")
"""What stands behind the name of a language and leaves it one; behind "a Spanish" any other noun makes it an origin."""
FAITHS = {
    "catholic": "catholicism",
    "protestant": "protestantism",
    "islamic": "islam",
    "christian": "christianity",
    "jewish": "judaism",
    "hindu": "hinduism",
    "buddhist": "buddhism",
}
"""By the adjective in "the Islamic faith", the religion."""
FAITH = word_set("faith religion church tradition")
PLACES = word_set("museum gallery arena park hall bank church parliament comics bridge castle palace hotel theatre")
"""Last words of names that are nobody's surname."""

NEGATIONS = word_set("""
    not never no neither nor isnt wasnt arent werent doesnt dont didnt cannot cant without except unlike
""")
NEGATIONS_ELSEWHERE = _folded("""
    nicht kein keine keiner pas jamais non não nunca nie nem inte niet geen nooit ei eivät ikke ikkje ekki ne neni není
    nije nisu değil tidak bukan không chẳng όχι δεν не нет ні ne ليس ليست غير لا نیست نہیں לא אינו אינה איננה नहीं न নয় না
    இல்லை არ չէ ոչ
""")
"""The same in other languages. Romanian "nu" is not one of them, because it is "now" in others; nor is Spanish "no"."""
ONLY = _folded("""
    only just nur bloß seulement uniquement solo sólo solamente apenas solo soltanto somente только лише tylko bara
    endast alleen bare kun csak vain sadece hanya
""")
"""What turns a negation before it round: "not only Paris"."""
JOINED = _folded("and or but und oder sondern et ou mais y e o pero ma и или а но i a ale och men en og ja ve dan")
LEADS = word_set("""
    is was are were be been by named called become becomes became remains s now currently today
""")
"""Words after which an answer begins anew."""
APART = word_set("""
    near nearby outside around beside behind beyond between against than about after before over during like
    into to for with under because while if whether when where which that whose who son daughter wife
    husband brother sister father mother friend successor predecessor resignation suburb outskirts formerly
    previously originally once versus vs ex
""")
ASIDE = word_set("""
    with after before than between about like unlike under over near since against during
""")
"""Prepositions after which a new "is" or "by" does not lead back to what is asked."""
CALLED = word_set("""
    city town state country nation continent village municipality republic kingdom province region island
    county borough district sport game language religion field name instrument company firm currency art
    party title
""")
"""Nouns that "of" joins with their own name: "the city of Paris" is Paris."""
KINDS = CALLED | word_set("""
    part mixture mix blend combination work product creation composition invention
    leadership government hand hands pen brush area world genre form use heart
    centre center middle banks coast capital command management direction ownership auspices subsidiary
    division member network channel label house brand mountain peak dialect
    champion champions winner winners
""")
"""What "of" may stand after: "the city of", "the government of"."""
CITIZENS = word_set("citizen national native")
"""People who are "of" a country, where a nationality is asked for."""
NATIONALITY = word_set("nationality citizenship citizen nation passport")
"""Words of a prompt that asks for one."""
OPERATES = word_set("operates works lies flows empties plays practices specializes specialises belongs lives serves")
"""Verbs with which "that" and "who" go on telling of what the answer began with."""
DIVISIONS = word_set("""
    department canton prefecture territory oblast voivodeship governorate
""")
"""Parts of a country or state, which lie in what they are of: where a place is asked for, "of" may stand after them."""
AROUND_TOWNS = word_set("province region county district department state")
"""What may have the name of a town in it and is none."""
FUNCTION = word_set("""
    the a an and or of in on at from by as its his her their is was has have had to also then most more
""")
FUNCTION_ELSEWHERE = _folded("""
    der die das dem den ein eine einen ist heißt el los las lo un una unos unas es son il gli i uno è sono le les des du
    de est sont c'est o os as um uma é são het een zijn det ett är er on je jest to są это является это был هي هو
    היא הוא ir bir to
""")
"""Articles of other languages, and their "is"."""
FUNCTION_UNCASED = _folded("""
    هي هو إنها إنه مدينة دولة لغة اسمها تسمى شهر کشور زبان شہر یہ היא הוא זו זה העיר המדינה यह वह शहर नगर राज्य হলো হল
    শহর நகரம் არის ქალაქი է քաղաք
""")
"""Articles, "is" and "city" of languages that are written without capital letters, where no name can be told from a
common noun by its beginning."""
PLAIN = (
    FUNCTION
    | FUNCTION_ELSEWHERE
    | FUNCTION_UNCASED
    | LEADS
    | KINDS
    | word_set("""
    best greatest top leading professional national international multinational global famous modern called
    into not no never near than like for with about either both word symbol industry sector current new old
    official main local common plays play playing speak speaks use uses between but major large big small
    including
""")
)
"""Small words that may stand in front of a common noun without making another thing of it."""
WHERE = word_set("where country continent born died buried borders located lies situated location place")
"""Words of a prompt that asks where something is."""
ASKING = word_set("question answer q a which what who whom whose where when in on of the how can could do does did is")
"""Words with which a question begins, or that frame it."""
BEING = word_set("is was are were has have had")
"""Verbs by which a sentence tells something of what it begins with."""
REFERS = word_set("refer refers referring attributed credited")
"""Words whose "to" an answer may begin after."""
SIGNS = word_set("symbol abbreviation number code")
"""What "with the" may name, as in "an element with the symbol Si"."""
DEEDS = word_set("written directed composed painted created developed founded discovered invented built made recorded")
"""What "by" may follow where an answer first says what the thing is: "is a tragedy written by"."""
OF_ITS_KIND = word_set("that which located")
VERBS = word_set("is was are were has does did")
PLAYING = word_set("playing using speaking leading being")
