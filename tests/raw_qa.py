"""Raw files of SQuAD 1.1, MRQA and Definite Pronoun Resolution as published, with rows written for these tests.

The file formats are those that TFDS's squad 3.0.0, mrqa 1.0.0 and definite_pronoun_resolution 1.1.0 read.
"""

import gzip
import json
import re

from raw_qa_rows import DPR, MRQA, SQUAD

SQUAD_URL = "https://rajpurkar.github.io/SQuAD-explorer/dataset/{}-v1.1.json"
DPR_URL = "https://s3.amazonaws.com/datasets.huggingface.co/definite_pronoun_resolution/{}.c.txt"
NEWS_QA_URL = "https://s3.us-east-2.amazonaws.com/mrqa/release/v2/{}/NewsQA.jsonl.gz"
BIO_ASQ_URL = "http://participants-area.bioasq.org/MRQA2019/"
BIO_ASQ_FILE = "BioASQ.jsonl.gz"  # the server names it, its URL does not


def squad_files() -> dict[str, bytes]:
    """The files by URL."""
    return {
        SQUAD_URL.format(split.replace("validation", "dev")): json.dumps({"version": "1.1", "data": _articles(split)}).encode()
        for split in SQUAD
    }


def mrqa_files() -> dict[str, bytes]:
    """The files of news_qa and bio_asq by URL."""
    return {
        NEWS_QA_URL.format("train"): _mrqa("NewsQA", "train"),
        NEWS_QA_URL.format("dev"): _mrqa("NewsQA", "validation"),
        BIO_ASQ_URL: _mrqa("BioASQ", "test"),
    }


def dpr_files() -> dict[str, bytes]:
    """The files by URL: four lines a sentence and an empty one."""
    return {
        DPR_URL.format(split): "".join(f"{text}\n{it}\n{two}\n{_pair(two)[n]}\n\n" for text, it, two, n in rows).encode()
        for split, rows in DPR.items()
    }


def expected(name: str) -> dict[str, list[dict]]:
    """What TFDS makes of them."""
    if name == "definite_pronoun_resolution":
        return {
            split: [{"sentence": text, "pronoun": it, "candidates": _pair(two), "label": str(n)} for text, it, two, n in rows]
            for split, rows in DPR.items()
        }
    if name == "squad":
        return {split: [row | {"answers": _squad_answers(row)} for row in _rows(SQUAD[split])] for split in SQUAD}
    splits = ("train", "validation") if name == "news_qa" else ("test",)
    return {split: [row | {"question": row["question"].strip()} for row in _rows(MRQA[split])] for split in splits}


def _pair(two: str) -> list[str]:
    return [name.strip() for name in two.split(",")]


def _rows(contexts: list) -> list[dict]:
    return [
        {"context": context, "question": question, "answers": answers}
        for context, questions in contexts
        for question, answers in questions.items()
    ]


def _squad_answers(row: dict) -> dict:
    return {"text": row["answers"], "answer_start": [row["context"].index(answer) for answer in row["answers"]]}


def _articles(split: str) -> list[dict]:
    articles = []
    for number, (context, questions) in enumerate(SQUAD[split]):
        qas = [
            {
                "id": f"{split}{number}{i}",
                "question": question,
                "answers": [{"text": text, "answer_start": context.index(text)} for text in answers],
            }
            for i, (question, answers) in enumerate(questions.items())
        ]
        articles.append({"title": f"Title_{number}", "paragraphs": [{"context": context, "qas": qas}]})
    return articles


def _mrqa(dataset: str, split: str) -> bytes:
    lines = [{"header": {"dataset": dataset, "split": split}}]
    for number, (context, questions) in enumerate(MRQA[split]):
        qas = [_mrqa_question(f"q{number}{i}", context, *item) for i, item in enumerate(questions.items())]
        lines.append({"id": "", "context": context, "context_tokens": _tokens(context), "qas": qas})
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode(), mtime=0)


def _mrqa_question(qid: str, context: str, question: str, answers: list[str]) -> dict:
    detected = [{"text": answer, **_found(context, answer)} for answer in dict.fromkeys(answers)]
    texts = {"question": question, "question_tokens": _tokens(question), "answers": answers}
    return {"id": qid, "qid": qid, "detected_answers": detected, **texts}


def _found(context: str, answer: str) -> dict:
    """Every place of an answer, by characters and by tokens; MRQA's ends are inclusive."""
    chars = [[match.start(), match.end() - 1] for match in re.finditer(re.escape(answer), context)]
    starts = [offset for _, offset in _tokens(context)]
    tokens = [[max(i for i, start in enumerate(starts) if start <= place) for place in span] for span in chars]
    return {"char_spans": chars, "token_spans": tokens}


def _tokens(text: str) -> list[list]:
    return [[match[0], match.start()] for match in re.finditer(r"\w+|[^\w\s]", text)]
