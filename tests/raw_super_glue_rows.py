"""Rows for SuperGLUE's raw files, written for these tests; each task's in the order train, validation, test.

Those of a test split have no label.
"""

FIELDS = {
    "boolq": ("question", "passage", "label"),
    "cb": ("premise", "hypothesis", "label"),
    "copa": ("premise", "choice1", "choice2", "question", "label"),
    "rte": ("premise", "hypothesis", "label"),
    "wic": ("word", "sentence1", "sentence2", "label"),
    "wsc.fixed": ("text", "span1_text", "span2_text", "span1_index", "span2_index", "label"),
    "axb": ("sentence1", "sentence2", "label"),
    "axg": ("premise", "hypothesis", "label"),
}
YES, NO, MAYBE, NOT = "entailment", "contradiction", "neutral", "not_entailment"
ROWS = {
    "boolq": [
        ("do herons nest in trees", "Heron -- Most herons nest in trees near water, often in noisy colonies.", True),
        ("is a tomato a mineral", 'Tomato -- The tomato, or "love apple", is the fruit of a plant.', False),
        ("was the café closed in winter", "Café Zoë -- The café stayed open all year, winter included.", False),
        ("can you swim in lake orrin", "Lake Orrin -- Swimming is allowed from May\tto September.\nDogs are not allowed.", True),
        ("is the bell tower older than the church", "St Brice -- The tower is of 1310 and the church of 1480.", True),
        ("does a unicycle have two wheels", "Unicycle -- A unicycle has one wheel, as its name says.", False),
        ("is 'ö' a letter of swedish", "Swedish alphabet -- Its last letters are å, ä and ö.", True),
        ("are all mushrooms safe to eat", "Mushroom -- Some kinds are eaten; others are poisonous.", False),
        ("is a kilometre longer than a mile", "Mile -- A mile is about 1.6 kilometres.", False),
        ("do penguins lay eggs", "Penguin -- Penguins lay one or two eggs (both parents sit on them).", True),
        ("is the ferry free", "Norrby ferry -- The crossing is free of charge.", True),
        ("is rye a kind of grass", "Rye -- Rye is a grass that is grown for its grain.", True),
        ("is glass made of sand", "Glass -- Sand is melted with soda and lime."),
        ("did the red team win", "Cup final -- The blue team won by 3–1."),
        ("is zero even", "0 -- Zero is an even number."),
    ],
    "cb": [
        ("Ann: Is it late? Ben: I think that the last bus has gone.", "the last bus has gone", MAYBE),
        ('He said: "I know that she sold the boat."', "she sold the boat", YES),
        ("I do not believe that the well is dry.", "the well is dry", NO),
        ("She noticed that the gate was open.", "the gate was open", YES),
        ("Nobody thought that José could cook.", "José could cook", NO),
        ("They forgot that the shop closes at noon.", "the shop closes at noon", YES),
        ("He doubts that it will snow. It is far too warm.", "it will snow", NO),
        ("If she had known that the road was shut, she'd have walked.", "the road was shut", YES),
        ("We saw that the lamp was lit.", "the lamp was lit", YES),
        ("Perhaps they will say that the trip was dull.", "the trip was dull", MAYBE),
        ("I don't think the cake is done.", "the cake is done", NO),
        ("He remembered that it was Monday.", "it was Monday", YES),
        ("She guesses the box is empty.", "the box is empty"),
        ("I knew the bridge was old.", "the bridge was old"),
        ("They deny that the dog barked.", "the dog barked"),
    ],
    "copa": [
        ("The vase broke.", "It fell off the shelf.", "It was blue.", "cause", 0),
        ("The child scraped his knee.", "He read a book.", "He began to cry.", "effect", 1),
        ("The soup boiled over.", "The lid was lost.", "The heat was too high.", "cause", 1),
        ('She shouted "fire!"', "Everyone ran outside.", "Everyone sat down.", "effect", 0),
        ("The grass turned brown.", "It hadn't rained for weeks.", "A bird sang.", "cause", 0),
        ("He missed the train.", "He bought a hat.", "He came home late.", "effect", 1),
        ("The crème brûlée burned.", "The cook fell asleep.", "The guests were hungry.", "cause", 0),
        ("The wind blew hard.", "The boat stayed dry.", "The tree fell over.", "effect", 1),
        ("The lamp went out.", "The oil was used up.", "The night was long.", "cause", 0),
        ("She watered the seeds.", "They turned to stone.", "They sprouted.", "effect", 1),
        ("The door creaked.", "Its hinges were rusty.", "It was painted green.", "cause", 0),
        ("I oiled the chain.", "The bicycle ran smoothly.", "The tyre burst.", "effect", 0),
        ("The dog barked.", "A stranger came.", "It was asleep.", "cause"),
        ("The ice cracked.", "We turned back.", "We skated on.", "effect"),
        ("The fire died.", "No wood was left.", "The wood was dry.", "cause"),
    ],
    "rte": [
        ("Ida Berg, who paints harbours, won the prize in 1998.", "Ida Berg is a painter.", YES),
        ("The mill burned down in 1902.", "The mill stands today.", NOT),
        ('The mayor said "no" twice.', "The mayor refused.", YES),
        ("Prices rose by 3.5% in Malmö.", "Prices fell in Malmö.", NOT),
        ("Two of the five ships sank.", "Five ships sank.", NOT),
        ("Wolves were seen near Åre on Tuesday.", "There are wolves near Åre.", YES),
        ("The book was sold for $1,200.", "Someone bought the book.", YES),
        ("He may run for office.", "He was elected.", NOT),
        ("The lake froze in January.", "The lake was frozen in January.", YES),
        ("She speaks French and Dutch.", "She speaks Dutch.", YES),
        ("The bridge is being repaired.", "The bridge is new.", NOT),
        ("No child was hurt.", "A child was hurt.", NOT),
        ("Rain is expected.", "It is dry."),
        ("All doors were locked.", "The back door was locked."),
        ("The train is late.", "The train is early."),
    ],
    "wic": [
        ("bank", "We sat on the bank of the river.", "The bank lent them money.", False),
        ("bank", "The bank closes at four.", "She works in a bank.", True),
        ("key", "He lost the key of the shed.", 'The "key" was under the mat.', True),
        ("key", "The song is in a minor key.", "Turn the key twice.", False),
        ("light", "Carry the light suitcase.", "The bag is light.", True),
        ("light", "Turn off the light.", "A light meal is enough.", False),
        ("draw", "They draw maps of Curaçao.", "Can you draw a horse?", True),
        ("draw", "The match was a draw.", "The draw, again, decided nothing.", True),
        ("bat", "The bat hung from the roof.", "He broke his bat.", False),
        ("spring", "The spring was cold.", "We met in spring.", True),
        ("ring", "Ring the bell.", "She wore a ring.", False),
        ("foot", "My foot hurts.", "He stood on one foot.", True),
        ("cold", "A cold wind blew.", "The soup is cold."),
        ("letter", "Post the letter.", "A is a letter."),
        ("row", "We row to the island.", "Sit in the first row."),
    ],
    "wsc.fixed": [
        ("The jug would not fit in the box because it was too wide.", "The jug", "it", 0, 9, True),
        ("The jug would not fit in the box because it was too small.", "The jug", "it", 0, 9, False),
        ("Maja thanked Ruth because she had helped her.", "Ruth", "she", 2, 4, True),
        ("Maja thanked Ruth, for Maja had been ill and Ruth had nursed her.", "Maja", "her.", 0, 12, True),
        ("The dog chased the cat until it, tired, lay down.", "the cat", "it,", 3, 6, False),
        ('Olof told Björn that "he" had won.', "Björn", '"he"', 2, 4, True),
        ("My uncle beat my father at chess although he is older.", "my uncle", "he", 0, 8, True),
        ("Those boats left the ships behind since they were faster.", "the ships.", "they", 3, 7, False),
        ("Tom gave Sam his coat because he was cold.", "Sam", "he", 2, 6, True),
        ("Tom gave Sam his coat because he was kind.", "Sam", "he", 2, 6, False),
        ("The nail bent the saw, so it was thrown away.", "the saw", "it", 3, 6, True),
        ("Eva called Liv, but she was out.", "Eva", "she", 0, 4, False),
        ("The bus passed the tram as it stopped.", "the tram", "it", 3, 6),
        ("Ada paid Kim what she owed.", "Ada", "she", 0, 4),
        ("The cup hit the plate and it broke.", "the plate", "it", 3, 6),
    ],
    "axb": [
        ("The cat is not asleep.", "The cat is asleep.", NOT),
        ("Ada and Bo sing.", "Bo sings.", YES),
        ('He said "perhaps".', "He agreed.", NOT),
        ("Some naïve people left early.", "Some people left.", YES),
    ],
    "axg": [
        ("The baker called the guest because she had baked the bread.", "The baker had baked the bread.", YES),
        ("The baker called the guest because he had baked the bread.", "The guest had baked the bread.", NOT),
        ("The clerk told the client that they could pay later.", "The client could pay later.", YES),
        ("The clerk told the client that she could pay later.", "The clerk could pay later.", NOT),
    ],
}
# Paragraph, then its questions, each with its answers: + is right, - is wrong.
MULTIRC = {
    "train": [
        (
            "<b>Sent 1: </b>Nils has two goats.<br><b>Sent 2: </b>They are called Pim and Zoë.<br>",
            {"What are the goats called?": ["+Pim", "-Nils", "+Zoë"], "Who has goats?": ["+Nils does", "-Pim"]},
        ),
        (
            '<b>Sent 1: </b>"Sell the mill," said Ida.<br><b>Sent 2: </b>Her brother would not.<br>',
            {"What did Ida want?": ["+To sell the mill", '-To buy "the mill"', "-To rest"]},
        ),
        ("<b>Sent 1: </b>It rained for 3 days.<br>", {"How long did it rain?": ["+Three days", "-3 weeks"]}),
    ],
    "validation": [
        (
            "<b>Sent 1: </b>The red boat won.<br><b>Sent 2: </b>The green one sank.<br>",
            {"Which boat won?": ["+The red one", "-The green one"], "Which boat sank?": ["-Red", "+Green", "+The green boat"]},
        ),
    ],
    "test": [("<b>Sent 1: </b>Liv plays the flute.<br>", {"What does Liv play?": ["The flute", "The drum"], "Who?": ["Liv"]})],
}
# Passage, the names marked in it (wherever they occur), then its queries with their answers.
RECORD = {
    "train": [
        (
            'Ida Berg sailed to Oslo with her brother Nils. "The sea was calm," Ida said.\n@highlight\n'
            "Ida Berg reached Oslo in May\n@highlight\nNils will stay in Norway",
            ("Ida Berg", "Oslo", "Nils", "Ida", "Norway"),
            {
                "It was the first voyage of @placeholder.": ("Ida Berg", "Ida"),
                "The capital, @placeholder, was sunny.": ("Oslo",),
                'Her brother, "the tall one", likes @placeholder.': ("Norway", "Oslo"),
            },
        ),
        (
            "Café Müller in Basel beat Bar Rex.\n@highlight\nBar Rex lost",
            ("Café Müller", "Basel", "Bar Rex"),
            {"The cooks of @placeholder cheered.": ("Café Müller",), "@placeholder will try again.": ("Bar Rex",)},
        ),
        (
            "The Reds met the Blues in Bath. The Reds won, then the Reds danced.\n@highlight\nBath saw the Reds win",
            ("Reds", "Blues", "Bath"),
            {
                "Fans of the @placeholder went home sad.": ("Blues",),
                "The winners, the @placeholder, sang.": ("Reds",),
                "It rained in @placeholder all day.": ("Bath",),
            },
        ),
    ],
    "validation": [
        (
            "Otto sold Kiel Mill to Lena.\n@highlight\nLena owns Kiel Mill",
            ("Otto", "Kiel Mill", "Kiel", "Lena"),
            {
                "@placeholder paid in gold.": ("Lena",),
                "The roof of @placeholder leaks.": ("Kiel Mill", "Kiel"),
                "Once @placeholder owned it.": ("Otto",),
                "The new owner, @placeholder, smiled.": ("Lena",),
            },
        ),
    ],
    "test": [
        (
            "Bo met Eva in Rome.\n@highlight\nRome was hot",
            ("Bo", "Eva", "Rome"),
            {"@placeholder was late.": (), "It was hot in @placeholder.": (), "@placeholder laughed.": ()},
        ),
    ],
}
