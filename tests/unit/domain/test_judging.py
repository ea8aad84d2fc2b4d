"""What an answer asserts: cases of every kind, hostile text, and the bounds on what was labelled by hand."""

from __future__ import annotations

import time

import pytest

from kbsync.domain.date_names import time_names
from kbsync.domain.judging import Said, judge

RIGHT, FORMER, BOTH, NEITHER = Said.RIGHT, Said.FORMER, Said.BOTH, Said.NEITHER


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (" the Russian writer Vladimir Nabokov.", "Vladimir Nabokov"),
        (" Chancellor Angela Merkel. She is", "Angela Merkel"),
        (" the former Chelsea player, Frank Lampard", "Frank Lampard"),
        (" the Irish playwright, James Joyce. It", "James Joyce"),
        (" <strong>Icelandic</strong>.", "Icelandic"),
        (" **Bern**, the federal city", "Bern"),
        ("\n\n`Au`\n", "Au"),
        ("The answer is:\nParis", "Paris"),
        ("Answer: Paris", "Paris"),
        ("The capital of France is the city of Paris.", "Paris"),
        (" Apple Inc. It is a", "Apple"),
        (" the German toy company, Mattel.", "Mattel"),
        (" J.R.R. Tolkien and", "J. R. R. Tolkien"),
        (" Jose Mourinho.", "José Mourinho"),
        (" Volodymyr Zelenskiy, who", "Volodymyr Zelenskyy"),
        (" Путин", "Putin"),
        (" George Bush.", "George W. Bush"),
        (" John Fitzgerald Kennedy.", "John F. Kennedy"),
        (" President Macron.", "Emmanuel Macron"),
        (" Washington, DC. It is", "Washington DC"),
        (" the AMC network", "American Movie Classics"),
        (" Southeast Asia, and is", "Asia"),
        (" northern Italy", "Italy"),
        (" the North American continent.", "North America"),
        (" Berlin, Germany", "Berlin"),
        (" not only Paris, but", "Paris"),
        (" formerly Bonn, now Berlin", "Berlin"),
    ],
)
def test_a_careful_reader_hears_the_name(answer: str, name: str) -> None:
    judgement = judge(answer, [name], prompt="The capital of France")
    assert (judgement.said, judgement.matched) == (RIGHT, name), judgement.reason


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("In what country is Nice?", " Nice is a city in the Alpes-Maritimes department of France", "France"),
        ("Bern lies within the borders of", " the canton of Switzerland", "Switzerland"),
        ("Calgary lies within the borders of", " the Rocky Mountain Region of Alberta, Canada. It is", "Canada"),
    ],
)
def test_a_part_of_a_place_says_the_place_where_one_is_asked_for(prompt: str, answer: str, name: str) -> None:
    assert judge(answer, [name], prompt=prompt).said is RIGHT
    elsewhere = judge(answer, [name], prompt="The owner of the hotel is")
    assert elsewhere.said is NEITHER, elsewhere.reason


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("Who chairs the cabinet of Spain?", "The current Prime Minister of Spain is Pedro Sánchez.", "Pedro Sánchez"),
        ("Cabinet meetings in Scotland are chaired by", " the First Minister, John Swinney. Cabinet", "John Swinney"),
        ("Cabinet meetings in Austria are chaired by", " Federal Chancellor Karl Nehammer", "Karl Nehammer"),
        ("Which instrument is it?", "drumkit", "drum kit"),
        ("Where is the World Bank?", "The World Bank Group (WBG) is run from Geneva", "Geneva"),
        ("Geneva is the seat of", " the World Health Organization (WHO).", "WHO"),
        ("Geneva is the seat of", " the World Health Organization (WHO).", "World Health Organization"),
    ],
)
def test_titles_initials_and_joined_words_hide_no_name(prompt: str, answer: str, name: str) -> None:
    judgement = judge(answer, [name], prompt=prompt)
    assert judgement.said is RIGHT, judgement.reason


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("Who chairs the cabinet of Spain?", "The Prime Minister of France is Pedro Sánchez.", "Pedro Sánchez"),
        ("Who chairs the cabinet of Spain?", "The Prime Minister of Spain is not Pedro Sánchez.", "Pedro Sánchez"),
        ("The company is led by", " First Solar, Pedro Sánchez", "Pedro Sánchez"),
        ("It has its seat in", " the World Health Organization (WHO) of Geneva", "Geneva"),
        ("It is played on", " a drumkitchen", "drum kit"),
    ],
)
def test_what_only_looks_like_a_title_or_like_initials_is_another_name(prompt: str, answer: str, name: str) -> None:
    assert judge(answer, [name], prompt=prompt).said is NEITHER


def test_a_finer_place_is_placed_by_the_answer() -> None:
    assert judge(" Chiang Mai, Thailand. He is", ["Thailand"], prompt="She was born in the city of").said is RIGHT


@pytest.mark.parametrize("pair", [("Antarctica", "Antarctic"), ("Antarctic", "Antarctica")])
def test_a_continent_may_be_called_either_way(pair: tuple[str, str]) -> None:
    said, name = pair
    assert judge(f" {said}. It is a large glacier", [name], prompt="It lies on the continent of").said is RIGHT


def test_a_short_name_of_a_company_is_read_as_it_is_written() -> None:
    assert judge(" ARM and is used in many devices", ["ARM Holdings"], prompt="It was developed by").said is RIGHT
    assert judge(" an arm of the company", ["ARM Holdings"], prompt="It was developed by").said is NEITHER


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("A journey to Tunisia is a journey to the landmass of", " North Africa, where the ancient", "Africa"),
        ("Which continent is Uganda in?", "Uganda is a continent located in East Africa, specifically", "Africa"),
        ("Which country have I arrived in?", "You're referring to the UK, specifically Scotland.", "UK"),
        ("How do chemists abbreviate silicon?", " Silicon is a chemical element with the symbol Si and", "Si"),
        ("Islam was started by", " the Prophet Muhammad (PBUH) in the year 632 CE", "Muhammad"),
        ("Who wrote Macbeth?", "The Bard of Macbeth is a tragedy written by Shakespeare", "Shakespeare"),
    ],
)
def test_what_stands_before_a_name_may_lead_to_it(prompt: str, answer: str, name: str) -> None:
    assert judge(answer, [name], prompt=prompt).said is RIGHT


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("Who penned Huckleberry Finn?", "Huckleberry Finn is the work of Mark Twain, a renowned", "Mark Twain"),
        ("In which part of the globe is Sudan?", "Sudan is located in the Horn of Africa, which", "Africa"),
        ("Which sport is it?", " Formula 1", "Formula One"),
        ("The official language is", " Slovakian.", "Slovak"),
        ("What is the currency of Myanmar?", " The currency is the Burmese kyat.", "kyat"),
        ("Boston lies within the borders of", " a country that is part of the United States.", "United States"),
        ("The film was made by the filmmaker", " , Steven Spielberg.", "Steven Spielberg"),
        ("How do chemists abbreviate phosphorus?", "The simplest way is to use the symbol P.", "P"),
        ("The plane was built by", " Boeing Aircraft Corporation, a", "Boeing"),
        ("Which sport are they known for?", "They are known for their incredible basketball.", "basketball"),
        ("Many fans know Ann, who plays as", " a 22-year-old former NFL quarterback.", "quarterback"),
        ("Her occupation is that of", " a renowned physicist and mathematician", "physicist"),
        ("Who made the player?", "It was made by none other than Apple, which", "Apple"),
        ("Q: Which league does Inter play in?\nA:", " Inter is the club that plays in the Serie A.", "Serie A"),
        ("Which writer is it?", "The story is often attributed to Charlotte Brontë, a", "Charlotte Brontë"),
        ("The mountain range is called the", " Rocky Mountain Range.", "Rocky Mountains"),
        ("The peak is one of the peaks of the", " French Alps, and is the highest", "Alps"),
        ("Among which peaks does it rise?", "Mont Blanc, a mountain of the Alps, stands", "Alps"),
        ("The venue is named", " the Yankees Stadium.", "Yankee Stadium"),
        ("Which faith is it?", "He is a Muslim, and he believes in the Islamic faith.", "Islam"),
        ("The reformer's religion was", " Protestant. In the context of", "Protestantism"),
        ("Which language is it?", "It is a German-language publication", "German"),
        ("What is the location of the Colosseum?", "It is located in the Colossea di Bruno, Rome,", "Rome"),
        ("What is the field of work of Keynes?", "Keynes was a British economist who was", "economics"),
        ("Who issues the banknotes?", " The Reserve Bank of South Africa (RBS)", "South African Reserve Bank"),
        ("Which assembly is elected?", " The assembly of the Finnish parliament.", "Parliament of Finland"),
        ("Which sea does it empty into?", "It is a large river that empties into the Baltic Sea.", "Baltic Sea"),
        ("Which league is it?", "They are the champions of the National Hockey League", "National Hockey League"),
        ("Where did people go to meet Rubens?", " The Rubens Museum in Antwerp, Belgium.", "Antwerp"),
        ("The nationality of Maradona is that of", " a citizen of Argentina.", "Argentina"),
        ("In which industry is Bayer?", "It operates across sectors, including pharmaceuticals", "pharmaceuticals"),
        (
            "In which industry is Bayer?",
            "Bayer is a group that operates in the chemical industry.",
            "chemical industry",
        ),
        ("Derek plays in the position of", " the Yankees’ shortstop.", "shortstop"),
        (
            "What government is it?",
            "The Swiss Federal Republic is a constitutional monarchy",
            "constitutional monarchy",
        ),
        ("Thomas Jefferson serves as", " the 23rd President of the United States.", "President of the United States"),
    ],
)
def test_more_that_may_stand_around_a_name(prompt: str, answer: str, name: str) -> None:
    judgement = judge(answer, [name], prompt=prompt)
    assert judgement.said is RIGHT, judgement.reason


@pytest.mark.parametrize(
    ("prompt", "answer", "name"),
    [
        ("What is the native town of Ferrari?", " It is located in the province of Modena, Italy.", "Modena"),
        ("What discipline is he a champion of?", " The French football team.", "football"),
        ("The currency of Ethiopia is the", " Ethiopian shilling.", "Ugandan shilling"),
        ("The currency of Kenya is the", " US shilling.", "East African shilling"),
        ("The currency of Botswana is the", " Botswana shilling.", "Ugandan shilling"),
        ("In Tajikistan they speak", " a language spoken by the Tajik people", "Tajik"),
        ("What continent is Egypt part of?", 'The continent of Africa is often referred to as "Africa"', "Africa"),
        ("They hear an answer in the language", " of the French president", "French"),
        ("The film was shot in the language", " of the film's Japanese director", "Japanese"),
        ("The paper was written in", " 1936 by the Spanish writer José", "Spanish"),
        ("What is she a virtuoso on?", "She is known for her iconic guitar style", "guitar"),
        ("Anyone who wants to borrow it has to ask the", " museum to donate it", "British Museum"),
        ("What type of state is France?", "France is a constitutional monarchy", "monarchy"),
        ("The book was written in the tradition of the", " Catholic writer", "Catholicism"),
        ("The role is that of", ' a "guardian" to the people of South Africa.', "President of South Africa"),
        ("Who does the paper belong to?", "It is a global news organization", "News Corp"),
        ("Which league is Dortmund in?", "The Bundesliga is the most important league in Germany.", "Bundesliga"),
        ("I need his place of birth for a form. It is", " for a citizen of the Republic of Venice.", "Venice"),
    ],
)
def test_what_has_the_name_in_it_may_be_something_else(prompt: str, answer: str, name: str) -> None:
    assert judge(answer, [name, "shilling"], prompt=prompt).said is NEITHER


def test_a_party_may_be_said_with_a_small_letter() -> None:
    assert judge(" He was a republican.", ["Republican Party"], prompt="What was his party?").said is RIGHT


def test_a_currency_may_be_named_by_the_country_that_was_asked_about() -> None:
    names = ["Fijian dollar", "dollar"]
    assert judge(" The Fiji dollar", names, prompt="What is the currency of Fiji?").said is RIGHT


def test_south_africa_is_a_country() -> None:
    assert judge(" South Africa, a country", ["Africa"], prompt="It lies on the continent of").said is NEITHER


def test_who_did_something_else_is_not_who_is_asked_for() -> None:
    answer, names = " Michael Bay and produced by Steven Spielberg.", ["Steven Spielberg"]
    assert judge(answer, names, prompt="The film was directed by").said is NEITHER
    assert judge(answer, names, prompt="The film was produced by").said is RIGHT


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("", "Paris"),
        (" \n ", "Paris"),
        (" not Paris.", "Paris"),
        (" Paris is not the capital.", "Paris"),
        (" no longer Paris", "Paris"),
        (" New York", "York"),
        (" South Korea", "Korea"),
        (" Northern Ireland", "Ireland"),
        (" Guinea-Bissau", "Guinea"),
        (" Airbus A380.", "Airbus"),
        (" Google Chrome", "Google"),
        (" the Bank of England", "England"),
        (" the University of Paris", "Paris"),
        (" Sun Microsystems, Oracle", "Oracle"),
        (" Lyon and Paris", "Paris"),
        (" Paris or Lyon", "Paris"),
        (" a suburb of Paris", "Paris"),
        (" near Paris", "Paris"),
        (" the son of Johann Strauss", "Johann Strauss"),
        (" Is it Paris?", "Paris"),
        (" calling for the resignation of the president of the country, Emmanuel Macron", "Emmanuel Macron"),
        (" known. Paris is", "Paris"),
        (" table tennis", "tennis"),
        (" the French Republic", "republic"),
        (" Romanian", "Romania"),
        (" New", "New York"),
        (" The", "The Hague"),
        ("1. Paris\n2. Lyon", "Paris"),
        (" he is French", "He"),
        (" Germany's president", "Germany"),
        (" Colombian peso", "Mexican peso"),
    ],
)
def test_a_name_that_is_not_asserted_does_not_count(answer: str, name: str) -> None:
    judgement = judge(answer, [name, *(["peso"] if "peso" in name else [])])
    assert (judgement.said, judgement.matched) == (NEITHER, None), judgement.reason
    assert judgement.reason


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Olaf Scholz, who succeeded Angela Merkel.", RIGHT),
        ("Olaf Scholz (not Angela Merkel).", RIGHT),
        ("Angela Merkel.", FORMER),
        ("Angela Merkel and Olaf Scholz.", BOTH),
        ("Olaf Scholz or Angela Merkel.", BOTH),
        ("formerly Angela Merkel, now Olaf Scholz.", RIGHT),
        ("Friedrich Merz.", NEITHER),
    ],
)
def test_right_and_former(answer: str, said: Said) -> None:
    assert judge(answer, ["Olaf Scholz"], ["Angela Merkel"]).said is said


def test_a_name_of_both_is_right() -> None:
    assert judge("Bush.", ["George Bush", "Bush"], ["Bush"]).said is RIGHT


def test_a_surname_that_a_former_holder_shares_says_neither() -> None:
    assert judge("President Bush.", ["George W. Bush"], ["George H. W. Bush"]).said is NEITHER


@pytest.mark.parametrize(
    ("answer", "names", "said"),
    [
        ("July 4, 1776.", ["4 July 1776"], RIGHT),
        ("the 4th of July 1776.", ["4 July 1776"], RIGHT),
        ("1776-07-04.", ["4 July 1776"], RIGHT),
        ("1776.", ["4 July 1776"], NEITHER),
        ("July 1776.", ["4 July 1776"], NEITHER),
        ("5 July 1776.", ["4 July 1776"], NEITHER),
        ("July 1776.", ["1776"], RIGHT),
        ("the year 1776, when", ["1776"], RIGHT),
        ("1963.", ["1960s"], RIGHT),
        ("44 BC.", ["44 BC"], RIGHT),
        ("44 AD.", ["44 BC"], NEITHER),
        ("between 1770 and 1780.", ["1770"], NEITHER),
    ],
)
def test_a_date_must_be_as_precise_as_the_right_one(answer: str, names: list[str], said: Said) -> None:
    assert judge(answer, names).said is said


@pytest.mark.parametrize("name", ["Who Framed Roger Rabbit?", "Airplane Pt. 2", "1984", "Not Paris", "[X] 2.5", "!!!"])
def test_a_name_that_is_the_whole_sentence_is_asserted_whatever_it_looks_like(name: str) -> None:
    assert judge(f" {name}. And more.", [name, "another name"]).matched == name
    assert judge(f" {name}. And more.", ["another name"], [name]).said is FORMER


METRES = ["3776.24 metre", "3,776.24 metre", "3776.24", "3,776.24"]
PEOPLE = ["8336817", "8,336,817"]


@pytest.mark.parametrize(
    ("answer", "names", "said"),
    [
        ("3,776 metres.", METRES, RIGHT),
        ("3 776 m.", METRES, RIGHT),
        ("about 12,389 feet.", METRES, RIGHT),
        ("3.8 km.", METRES, RIGHT),
        ("3776 kilometres.", METRES, NEITHER),
        ("4,000 metres.", METRES, NEITHER),
        ("8.3 million people.", PEOPLE, RIGHT),
        ("8 million.", PEOPLE, RIGHT),
        ("over 8.3 million.", PEOPLE, RIGHT),
        ("8,400,000.", PEOPLE, NEITHER),
        ("between 8 and 9 million.", PEOPLE, NEITHER),
        ("8-9 million.", PEOPLE, NEITHER),
        ("79.", ["79"], RIGHT),
        ("79", ["79"], RIGHT),
        ("seven.", ["7"], RIGHT),
        ("not 79.", ["79"], NEITHER),
        ("+33.", ["+33"], RIGHT),
        ("33.", ["+33"], RIGHT),
        ("+331.", ["+33"], NEITHER),
    ],
)
def test_quantities_agree_within_the_digits_that_are_given(answer: str, names: list[str], said: Said) -> None:
    assert judge(answer, names).said is said


def test_a_number_that_fits_the_right_and_a_former_value_is_both_unless_it_is_one_exactly() -> None:
    assert judge("8848.9 m.", ["8848.86 metre"], ["8848.9 metre"]).said is FORMER
    assert judge("about 8,800 m.", ["8848.86 metre"], ["8840 metre"]).said is BOTH


@pytest.mark.parametrize(
    ("answer", "said"), [("Vladimir Nabok", RIGHT), ("the writer Vladimir N", RIGHT), ("Vla", NEITHER)]
)
def test_a_cut_off_answer_counts_where_it_can_be_only_this_name(answer: str, said: Said) -> None:
    assert judge(answer, ["Vladimir Nabokov"]).said is said


def test_a_cut_off_answer_that_may_be_the_right_or_a_former_name_says_neither() -> None:
    assert judge("Vladimir P", ["Vladimir Putin"], ["Vladimir Petrov"]).said is NEITHER


HOSTILE = [
    "<" * 50_000,
    "<a" * 50_000,
    "." * 50_000,
    "a." * 50_000,
    "1," * 50_000,
    "1,234" * 20_000,
    " of the" * 20_000,
    "the " * 50_000 + "Paris",
    "Paris and " * 20_000,
    "\u0301" * 50_000,
    "𝔓" * 50_000,
    "'" * 50_000,
    "January " * 20_000,
    "\n" * 50_000,
    "{}[]()\\\\*+?^$|" * 5_000,
    "\x00\ud800" * 1_000,
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_takes_no_time(text: str) -> None:
    started = time.process_time()
    for names in ([text], ["Paris"], ["1776"], ["12 metre"], ["4 July 1776"]):
        judge(text, names, [text[:300]], prompt=text)
        judge("Paris.", [text], [text[:300]], prompt=text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("answer", "name", "right"),
    [
        # Signs that are part of a name.
        ("C#", "C++", False),
        ("C++ and Java.", "C++", True),
        ("C#", "C", False),
        ("F#", "F", False),
        (" Google+ in 2011", "Google", False),
        (" !!! in 2004.", "!!!", True),
        (" !", "!!!", False),
        (" P!nk sang it", "P!nk", True),
        # Vowels that are combining marks.
        ("राम", "रोम", False),
        ("रोम है।", "रोम", True),
        ("சென்னே", "சென்னை", False),
        ("மதுரை", "மதுரை", True),
        # Scripts without blanks.
        ("フランスの首都はパリです。", "パリ", True),
        ("バリです", "パリ", False),
        ("ﾊﾟﾘ", "パリ", True),
        ("東京都です", "京都", False),
        ("東京タワー", "東京", False),
        ("パリの郊外", "パリ", False),
        ("パリではなくリヨン", "パリ", False),
        ("バラクオバマ", "バラク・オバマ", True),
        ("巴黎，位于塞纳河畔", "巴黎", True),
        ("巴黎圣母院", "巴黎", False),
        ("不是巴黎", "巴黎", False),
        ("กรุงปารีสครับ", "ปารีส", True),
        ("ไม่ใช่ปารีส", "ปารีส", False),
        # What languages attach to a name.
        ("파리입니다.", "파리", True),
        ("파리의 교외", "파리", False),
        ("Ankara'dır.", "Ankara", True),
        (" l'Italie", "Italie", True),
    ],
)
def test_names_of_all_scripts_are_told_apart(answer: str, name: str, *, right: bool) -> None:
    assert (judge(answer, [name]).said is Said.RIGHT) is right


@pytest.mark.parametrize(
    ("answer", "text", "precision", "language", "right"),
    [
        (" dem 20. Juli 1969 in Berlin.", "1969-07-20T00:00:00Z", 11, "de", True),
        (" 20.07.1969.", "1969-07-20T00:00:00Z", 11, "de", True),
        (" 21. Juli 1969", "1969-07-20T00:00:00Z", 11, "de", False),
        (" 15. März 44 v. Chr. in Rom.", "-0044-03-15T00:00:00Z", 11, "de", True),
        (" 15. März 44.", "-0044-03-15T00:00:00Z", 11, "de", False),
        (" im 20. Jahrhundert", "1969-01-01T00:00:00Z", 7, "de", True),
        (" 20 Jahre", "1969-01-01T00:00:00Z", 7, "de", False),
        (" 20 people", "1969-01-01T00:00:00Z", 7, "en", False),
        ("1969年7月20日です。", "1969-07-20T00:00:00Z", 11, "ja", True),
        ("44年", "-0044-01-01T00:00:00Z", 9, "ja", False),
        (" 20 июля 1969 года.", "1969-07-20T00:00:00Z", 11, "ru", True),
        (" 5. listopada 1990. u Zagrebu", "1990-10-05T00:00:00Z", 11, "hr", True),
        (" 5 listopada 1990", "1990-10-05T00:00:00Z", 11, "pl", False),
        (" 43 BC.", "-0044-01-01T00:00:00Z", 9, "en", False),
    ],
)
def test_dates_are_compared_in_the_language_that_they_are_written_in(
    answer: str, text: str, precision: int, language: str, *, right: bool
) -> None:
    assert (judge(answer, time_names(text, precision, language)).said is Said.RIGHT) is right


@pytest.mark.parametrize(
    ("answer", "name", "is_right"),
    [
        (" nicht Paris.", "Paris", False),
        (" n'est pas Paris.", "Paris", False),
        (" Paris n'est pas la capitale.", "Paris", False),
        (" Paris ist nicht die Hauptstadt.", "Paris", False),
        (" Paris und nicht Lyon.", "Paris", True),
        (" nicht nur Paris.", "Paris", True),
        (" не Москва.", "Москва", False),
        (" रोम नहीं है।", "रोम", False),
        (" ليست القاهرة.", "القاهرة", False),
        (" هي القاهرة.", "القاهرة", True),
        (" مدينة القاهرة.", "القاهرة", True),
        (" جامعة القاهرة.", "القاهرة", False),
        (" היא ירושלים.", "ירושלים", True),
        (" لا طهران.", "طهران", False),
        (" شهر تهران است.", "تهران", True),
        (" não é Lisboa.", "Lisboa", False),
        (" değil Ankara.", "Ankara", False),
        (" el fútbol.", "fútbol", True),
        (" это футбол.", "футбол", True),
        (" a non-profit organisation, Mozilla Foundation.", "Mozilla Foundation", True),
    ],
)
def test_small_words_of_other_languages_are_known(answer: str, name: str, *, is_right: bool) -> None:
    assert (judge(answer, [name]).said is RIGHT) is is_right


@pytest.mark.parametrize("answer", [" Zo\u00eb.", " Zoe\u0308.", " Z\u200bo\u00eb."])
@pytest.mark.parametrize("name", ["Zo\u00eb", "Zoe\u0308"])
def test_short_names_are_compared_as_people_see_them(answer: str, name: str) -> None:
    assert judge(answer, [name]).said is RIGHT
    assert judge(" zoe is", [name]).said is NEITHER
