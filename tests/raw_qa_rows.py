"""Rows for the raw files of SQuAD, MRQA and Definite Pronoun Resolution, written for these tests."""

# Context, then its questions with their gold answers, of which validation rows have several, some of them the same.
SQUAD = {
    "train": [
        (
            'The mill of Söderby was built in 1340 by Ida Berg. Locals call it "the old lady". It has four sails.',
            {
                "When was the mill built?": ["1340"],
                "Who built the mill?": ["Ida Berg"],
                'What do locals call "it"?': ['"the old lady"'],
                "How many sails has it?": ["four"],
            },
        ),
        (
            "Herons eat fish, frogs and, at times, mice. They nest in trees\nnear water.",
            {
                "What do herons eat at times?": ["mice"],
                "Where do herons nest?": ["in trees\nnear water"],
                " What do herons eat? ": ["fish, frogs and, at times, mice"],
                "Which birds nest near water?": ["Herons"],
            },
        ),
    ],
    "validation": [
        (
            "The ferry to Öland takes 25 minutes (40 in winter). Its captain, J. R. Lind, has crossed 9,000 times.",
            {
                "How long does the ferry take?": ["25 minutes", "25 minutes", "25 minutes (40 in winter)"],
                "Who is the captain?": ["J. R. Lind", "Lind", "J. R. Lind"],
                "Where does the ferry go?": ["Öland", "to Öland", "Öland"],
                "How often has the captain crossed?": ["9,000 times", "9,000", "has crossed 9,000 times"],
            },
        ),
    ],
}
MRQA = {
    "train": [
        (
            "(Bath) -- The museum, which opened on Friday, has 300 clocks. Its oldest clock is of oak.",
            {
                "When did the museum open?": ["Friday", "on Friday"],
                "How many clocks are there?": ["300"],
                "Of what is it?": ["oak"],
            },
        ),
        (
            "Zoë Lind won the race in Kiel. Lind is 19.",
            {
                "Who won?": ["Lind", "Zoë Lind"],
                "Where was the race?": ["Kiel"],
                "How old is Lind?": ["19"],
                "Who is 19?": ["Lind"],
                "What was won?": ["the race"],
            },
        ),
    ],
    "validation": [
        (
            'The mayor said "no" to the plan. The plan, he said, would cost too much.',
            {
                "Who said no?": ["The mayor"],
                "What did he say?": ['"no"', "no"],
                "Why?": ["would cost too much"],
                "To what?": ["the plan", "the plan"],
            },
        ),
    ],
    "test": [
        (
            "BACKGROUND: Vitamin K is needed for clotting. RESULTS: Dose (5 μg) had no effect.",
            {"Which vitamin is needed for clotting?": ["Vitamin K"], "What was the dose?": ["5 μg"], "For what?": ["clotting"]},
        ),
    ],
}
# Sentence, pronoun, the two candidates, which of them is meant.
DPR = {
    "train": [
        ("The bee landed on the flower because it had pollen.", "it", "The bee,the flower", 1),
        ("The bee landed on the flower because it wanted pollen.", "it", "The bee,the flower", 0),
        ("Anna asked Zoë for the key because she had lost hers.", "she", "Anna,Zoë", 0),
        ("Anna asked Zoë for the key because she had found it.", "she", "Anna,Zoë", 1),
        ('The clerk told the guest that "he" was late.', "he", "the clerk,the guest", 1),
        ("Wolves fear dogs, for they bark.", "they", "Wolves, dogs", 1),
        ("The boys beat the men, so they cheered.", "they", "the boys,the men", 0),
        ("The snow buried the car until it melted.", "it", "the snow,the car", 0),
    ],
    "test": [
        ("The lid fell off the jar as it shook.", "it", "the lid,the jar", 1),
        ("Sam fed the goat, then it slept.", "it", "Sam,the goat", 1),
        ("Maja called Ruth, whom she had missed.", "she", "Maja,Ruth", 0),
        ("The hens ran from the foxes since they were afraid.", "they", "The hens,the foxes", 0),
    ],
}
