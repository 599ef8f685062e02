"""The study of configs/lstm_phase_iv.yaml in Python, and the reference's custom experiment.

phasetune run experiments.lstm_phase_iv.study:lstm_phase_iv
phasetune run experiments.lstm_phase_iv.study:custom
phasetune run experiments.lstm_phase_iv.study:custom_small
"""

from pathlib import Path

from phasetune import Objective, Phase, Point, Replicates, Study, load_study

CONFIGS = Path(__file__).parents[2] / "configs"


def lstm_phase_iv() -> Study:
    sigmas = {
        0.10: ("Conservative baseline", (0.63, 0.65), (0.35, 0.40)),
        0.12: ("RECOMMENDED", (0.65, 0.69), (0.45, 0.55)),
        0.15: ("Moderate", (0.64, 0.68), (0.40, 0.50)),
        0.20: ("Current (baseline)", (0.60, 0.63), (0.15, 0.25)),
    }
    sizes = {(64, 4): (0.62, 0.66), (128, 8): (0.66, 0.70), (128, 4): (0.64, 0.68)}
    depths = {
        50: ("Current baseline", (0.65, 0.69)),
        75: ("RECOMMENDED", (0.67, 0.72)),
        100: ("Diminishing returns", (0.66, 0.71)),
    }
    return Study(
        name="lstm-phase-iv",
        description="How strong a time warp, how large a network, how long to pre-train?",
        workload="phasetune.workloads.windows",
        seed=1337,
        data={"dir": "data/processed"},
        params={
            "pretrain": {
                "hidden_size": 128,
                "mask": "patch",
                "mask_ratio": 0.15,
                "epochs": 50,
                "batch_size": 512,
                "schedule": "warmup_stable_decay",
            },
            "finetune": {
                "num_heads": 8,
                "time_warp_sigma": 0.12,
                "epochs": 50,
                "freeze_epochs": 10,
                "unfreeze_lr_factor": 0.5,
                "batch_size": 512,
            },
        },
        replicates=Replicates(folds=5),
        objective=Objective(metric="accuracy"),
        constraints=("class_1_accuracy >= 0.30",),
        baseline={"finetune.time_warp_sigma": 0.20},
        phases=(
            Phase(
                name="timewarp",
                trial_name="exp_phase1_timewarp_{finetune.time_warp_sigma:.2f}",
                points=tuple(
                    Point(
                        params={"finetune.time_warp_sigma": sigma},
                        note=note,
                        expect={"accuracy": accuracy, "class_1_accuracy": class_1},
                    )
                    for sigma, (note, accuracy, class_1) in sigmas.items()
                ),
            ),
            Phase(
                name="architecture",
                trial_name="exp_phase2_arch_{pretrain.hidden_size}_{finetune.num_heads}",
                points=tuple(
                    Point(
                        params={"pretrain.hidden_size": hidden, "finetune.num_heads": heads},
                        note="RECOMMENDED" if (hidden, heads) == (128, 8) else None,
                        expect={"accuracy": accuracy},
                    )
                    for (hidden, heads), accuracy in sizes.items()
                ),
            ),
            Phase(
                name="depth",
                trial_name="exp_phase3_depth_{pretrain.epochs}",
                points=tuple(
                    Point(
                        params={"pretrain.epochs": epochs}, note=note, expect={"accuracy": accuracy}
                    )
                    for epochs, (note, accuracy) in depths.items()
                ),
            ),
        ),
    )


def custom() -> Study:
    """One trial at full size: sigma 0.13, hidden size 96, 6 heads, 60 epochs of pre-training."""
    return _one_trial("lstm_phase_iv.yaml", name="custom", epochs=60)


def custom_small() -> Study:
    """The same at the size of the quickstart, whose pre-training has 8 epochs and not 50."""
    return _one_trial("quickstart.yaml", name="custom-small", epochs=10)


def _one_trial(base: str, *, name: str, epochs: int) -> Study:
    point = Point(
        params={
            "finetune.time_warp_sigma": 0.13,
            "pretrain.hidden_size": 96,
            "finetune.num_heads": 6,
            "pretrain.epochs": epochs,
        }
    )
    phase = Phase(name="custom", trial_name="exp_custom_test", points=(point,))
    study = load_study(CONFIGS / base)
    return study.model_copy(update={"name": name, "phases": (phase,), "baseline": None})
