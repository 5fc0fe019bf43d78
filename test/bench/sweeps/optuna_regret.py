"""Optuna on the functions of functions.ts: the last line is what a side of a bench prints."""

import json
import math
import resource
import statistics
import time
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore")


def branin(x):
    bend = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10


A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]
ALPHA = [1, 1.2, 3, 3.2]


def hartmann6(x):
    far = [sum(a * (v - p) ** 2 for a, v, p in zip(A[i], x, P[i])) for i in range(4)]
    return -sum(alpha * math.exp(-each) for alpha, each in zip(ALPHA, far))


def rosenbrock(x):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


FUNCTIONS = {
    "branin": (branin, [(-5, 10), (0, 15)], 0.397887),
    "hartmann6": (hartmann6, [(0, 1)] * 6, -3.32237),
    "rosenbrock": (rosenbrock, [(-5, 10)] * 3, 0),
}


def regret(function, box, least, seed):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
    study.optimize(
        lambda trial: function([trial.suggest_float(f"x{i}", low, high) for i, (low, high) in enumerate(box)]),
        n_trials=100,
    )
    return study.best_value - least


started = time.monotonic()
figures = {name: statistics.median(regret(*of, seed) for seed in range(20)) for name, of in FUNCTIONS.items()}
report = {
    "ms": [1000 * (time.monotonic() - started)],
    "peakRssBytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "figures": figures,
}
print(json.dumps(report))
