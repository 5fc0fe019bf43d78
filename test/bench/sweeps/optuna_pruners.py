"""Optuna's pruners on the curves of curves.json, as replay.ts has ours: the last line is what a side of a bench prints."""

import json
import math
import pathlib
import resource
import statistics
import time
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore")

recorded = json.loads((pathlib.Path(__file__).parent / "curves.json").read_text())
EPOCHS, TOP1 = recorded["epochs"], recorded["top1"]
COUNT = len(TOP1)
FIRST = math.ceil(EPOCHS / 9)

PRUNERS = {
    # Reads the value of the epoch that it is asked at: the best so far is what ours goes by.
    "asha": (lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST, reduction_factor=3), True),
    "median": (lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=FIRST), False),
}


def replay(pruner, best_so_far, order):
    study = optuna.create_study(direction="maximize", pruner=pruner)
    spent, found = 0, 0
    for which in order:
        values = TOP1[which]
        trial = study.ask()
        epoch = 1
        while epoch < EPOCHS:
            trial.report(max(values[:epoch]) if best_so_far else values[epoch - 1], epoch)
            if trial.should_prune():
                break
            epoch += 1
        spent += epoch
        if epoch == EPOCHS:
            trial.report(values[-1], EPOCHS)
            found = max(found, max(values))
            study.tell(trial, max(values))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return spent / (EPOCHS * COUNT), max(map(max, TOP1)) - found


started = time.monotonic()
figures = {}
for name, (make, best_so_far) in PRUNERS.items():
    outcomes = [
        replay(make(), best_so_far, [(order + place * (order + 1)) % COUNT for place in range(COUNT)])
        for order in range(20)
    ]
    figures[f"{name}_spent"] = statistics.fmean(spent for spent, _ in outcomes)
    figures[f"{name}_regret"] = statistics.fmean(regret for _, regret in outcomes)
report = {
    "ms": [1000 * (time.monotonic() - started)],
    "peakRssBytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "figures": figures,
}
print(json.dumps(report))
