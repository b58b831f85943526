"""Logistic regression of scikit-learn, validated in parallel: by processes, and by threads."""

import joblib
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from frameworks.telling import app_of


def fit(order):
    inputs, labels = make_classification(n_samples=300, n_features=8, random_state=3)
    model = LogisticRegression(max_iter=200).fit(inputs, labels)
    result = {"weights": [round(value, 6) for value in model.coef_[0].tolist()]}
    for backend in ("loky", "threading"):
        with joblib.parallel_backend(backend, n_jobs=2):
            scores = cross_val_score(model, inputs, labels, cv=4)
        result[backend] = [round(score, 6) for score in scores.tolist()]
    return result, {}


app = app_of(fit)
