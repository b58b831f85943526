"""Boosted trees of xgboost, with two threads."""

import numpy
import xgboost

from frameworks.telling import app_of


def boost(order):
    rng = numpy.random.default_rng(3)
    inputs = rng.random((400, 6))
    labels = (inputs.sum(axis=1) > 3).astype(int)
    data = xgboost.DMatrix(inputs, label=labels)
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 2, "seed": 3}
    booster = xgboost.train(parameters, data, num_boost_round=5)
    return {"scores": [round(float(score), 5) for score in booster.predict(data)[:8]]}, {}


app = app_of(boost)
