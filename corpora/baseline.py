"""How far word counts alone get on the demo task: the number that a prompt has to beat."""

import collections

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def measure(splits: dict[str, list[tuple[str, str, str]]]) -> dict[str, float]:
    """Test accuracy of always answering the commonest label, and of logistic regression on TF-IDF of words and pairs."""
    _, texts, labels = zip(*splits["train"], strict=True)
    _, test_texts, test_labels = zip(*splits["test"], strict=True)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10.0, max_iter=1000).fit(vectorizer.fit_transform(texts), labels)
    accuracy = model.score(vectorizer.transform(test_texts), test_labels)
    majority = max(collections.Counter(test_labels).values()) / len(test_labels)
    return {"majority": majority, "TF-IDF + logistic regression": float(accuracy)}
