"""What the peers of the credit benchmark do, one task a process: ``credit_work.py TASK FILE``; prints one line of JSON.

Runs with the Pythons of the peers' environments, so it imports nothing at its head but the standard library. CPU seconds of
the work alone: reading and imports are not counted.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any


def optbinning(path: str) -> dict[str, Any]:
    """A scorecard of binned columns and a logistic regression, out of fold on the folds given."""
    import numpy as np
    import pandas as pd
    from optbinning import BinningProcess, Scorecard
    from sklearn.linear_model import LogisticRegression

    held = np.load(path)
    names, y, fold = [str(n) for n in held["names"]], held["y"].astype(int), held["fold"]
    frame = pd.DataFrame(held["values"], columns=names)
    categories = [n for n, is_one in zip(names, held["categories"], strict=True) if is_one]
    found, began = np.empty(len(y)), time.process_time()
    for k in range(int(fold.max()) + 1):
        card = Scorecard(
            BinningProcess(names, categorical_variables=categories),
            LogisticRegression(max_iter=1000),
            scaling_method=None,
        )
        card.fit(frame[fold != k], y[fold != k])
        found[fold == k] = card.predict_proba(frame[fold == k])[:, 1]
    return {"seconds": time.process_time() - began, "probability": found.tolist()}


def shap(path: str) -> dict[str, Any]:
    """TreeExplainer, path-dependent, over every row."""
    import lightgbm
    import numpy as np
    from shap import TreeExplainer

    held = np.load(path)
    explainer = TreeExplainer(
        lightgbm.Booster(model_str=str(held["model"])), feature_perturbation="tree_path_dependent"
    )
    began = time.process_time()
    values = np.asarray(explainer.shap_values(held["values"]))
    spent = time.process_time() - began
    values = values[..., 1] if values.ndim == 3 else values
    return {"seconds": spent, "rows": len(held["values"]), "sums": values.sum(axis=1).tolist()}


def fairlearn(path: str) -> dict[str, Any]:
    """MetricFrame: approval and false-refusal rate of each group, and its bootstrap intervals."""
    import numpy as np
    import pandas as pd
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate

    held = np.load(path)
    groups = pd.DataFrame({str(n): held["groups"][:, i] for i, n in enumerate(held["attributes"])})
    refused = held["refused"].astype(int)
    metrics = {"refused": selection_rate, "false_refusal": false_positive_rate}
    began = time.process_time()
    rates = {
        name: MetricFrame(metrics=metrics, y_true=held["y"], y_pred=refused, sensitive_features=groups[name]).by_group
        for name in groups
    }
    plain = time.process_time() - began
    began = time.process_time()
    first = next(iter(groups))
    MetricFrame(metrics=metrics, y_true=held["y"], y_pred=refused, sensitive_features=groups[first], n_boot=100, ci_quantiles=[0.025, 0.975],
                random_state=1)  # fmt: skip
    told = {
        f"{name}: {label}": [float(v) for v in row] for name, frame in rates.items() for label, row in frame.iterrows()
    }
    return {"seconds": plain, "bootstrap": time.process_time() - began, "rates": told}


def dice(path: str) -> dict[str, Any]:
    """Random search, one counterfactual for each of the rows named; what it gives is scored again."""
    import contextlib
    import io

    import dice_ml
    import lightgbm
    import numpy as np
    import pandas as pd

    held = np.load(path)
    names = [str(n) for n in held["names"]]
    frame = pd.DataFrame(held["values"], columns=names)
    model = lightgbm.LGBMClassifier(n_estimators=150, num_leaves=16, min_child_samples=40, n_jobs=1, verbose=-1).fit(
        frame, held["y"]
    )
    data = dice_ml.Data(dataframe=frame.assign(bad=held["y"]), continuous_features=names, outcome_name="bad")
    seeker = dice_ml.Dice(data, dice_ml.Model(model=model, backend="sklearn"), method="random")
    probability = model.predict_proba(frame)[:, 1]
    asked = np.flatnonzero(probability >= 0.5)[: int(held["count"])]
    flipped, changed, began = 0, [], time.process_time()
    for i in asked:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                answer = seeker.generate_counterfactuals(
                    frame.iloc[[i]],
                    total_CFs=1,
                    desired_class=0,
                    features_to_vary=[str(n) for n in held["mutable"]],
                    random_seed=1,
                )
                made = answer.cf_examples_list[0].final_cfs_df
            except Exception:  # its own way of saying that it found none
                made = None
        if made is not None and len(made):
            row = made[names].astype(float)
            flipped += bool(model.predict_proba(row)[0, 1] < 0.5)
            changed.append(int((row.to_numpy()[0] != frame.iloc[i].to_numpy()).sum()))
    return {
        "seconds": time.process_time() - began,
        "asked": len(asked),
        "flipped": flipped,
        "changes": float(np.mean(changed)) if changed else 0.0,
    }


TASKS = {"optbinning": optbinning, "shap": shap, "fairlearn": fairlearn, "dice": dice}

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    print(json.dumps(TASKS[sys.argv[1]](sys.argv[2])))
