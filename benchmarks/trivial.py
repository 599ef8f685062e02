"""A workload of one stage that does nothing: what is left is what a run costs."""

from pydantic import BaseModel

from phasetune import Stage, StageContext


class Nothing(BaseModel):
    number: int = 0
    other: int = 0


class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part


STAGES = (Stage(name="nothing", params=Nothing, function="trivial:nothing", reads=("train",)),)


def nothing(_ctx: StageContext, params: Nothing) -> dict[str, float]:
    return {"score": float(1000 * params.other + params.number)}
