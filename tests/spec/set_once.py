"""A small spec: flags that can be set."""

from mtpo.spec.language import Bool, Sort, Spec, forall, require

s = Spec("s")


class P(Sort):
    "a place"


h = s.var("h", P, init=lambda p: False)


@s.action
def take(p: P) -> None:
    require("free", ~h(p))
    h[p] = True


@s.step_property("s.kept")
def kept() -> Bool:
    return forall(P, lambda p: ~h(p) | h.next(p))
