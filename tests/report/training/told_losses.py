"""A workload that reports losses by a rule; it learns nothing."""

from pydantic import BaseModel, ConfigDict

from phasetune import Stage, StageContext


class Prepare(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 8
    hub_token: str | None = None


class Train(BaseModel):
    """Its validation loss is lowest in epoch 3; `fault_epoch` raises there."""

    model_config = ConfigDict(extra="forbid")
    floor: float = 0.3
    epochs: int = 4
    fault_epoch: int = 0


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part


STAGES = (
    Stage(name="prepare", params=Prepare, function="told_losses:prepare", reads=("unlabeled",)),
    Stage(name="train", params=Train, function="told_losses:train", reads=("train",)),
)


def prepare(ctx: StageContext, params: Prepare) -> dict[str, float]:
    for step in (1, 2):
        ctx.report({"val_loss": 1.0 / step}, step=step)
    return {}


def train(ctx: StageContext, params: Train) -> dict[str, float]:
    fold = 0 if ctx.fold is None else ctx.fold.index
    for epoch in range(1, params.epochs + 1):
        if epoch == params.fault_epoch:
            raise ValueError("the moon was full")
        if ctx.should_stop():
            return {}
        loss = params.floor + 0.01 * fold + 0.1 * abs(3 - epoch)
        row = {"train_loss": loss / 2, "val_loss": loss, "val_accuracy": 1 - loss, "rate": 0.1}
        ctx.report(row, step=epoch)
    return {"score": 1 - params.floor, "confusion_0_1": 3.0}
