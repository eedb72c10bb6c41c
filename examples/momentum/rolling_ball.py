# %% [markdown]
# # A ball that rolls past critical points
#
# A heavy ball does not stop at the first dip: inertia (惯性) carries it on. From which starts, and
# with how much of the last step kept, does it get over the hill?
#
# The notes draw four balls on one slope. The first has only the gradient to follow. For the second
# the gradient is small, and the last step still pushes. For the third the gradient is zero, at a
# critical point (临界点), and the last step alone carries it over. For the fourth the gradient
# points back, and if the last step is longer, the ball *may* clear the hill.
#
# Momentum (动量) is this picture as a rule, with m⁰ = 0:
#
# $$m^t = \lambda m^{t-1} - \eta g^{t-1}, \qquad \theta^t = \theta^{t-1} + m^t.$$
#
# The ball "may" clear the hill, the notes say. When does it? We measure that, and predict it.

# %%
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from tqdm import tqdm

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

chosen = evidence.settings(lr=(0.1, 0.02, 0.3), width=(0.5, 0.35, 0.7), start=(1.0, 0.9, 1.2))

# %% [markdown]
# The curve is a wide bowl with a bump in it: L = w²/32 + ¼ exp(−((w − 3)/½)²). To the right of the
# bump is a local minimum, at w ≈ 3.66 with L ≈ 0.46. Beyond the top, at w ≈ 3.10, lies the best
# place of all, w = 0 with L = 0. (In the other settings of this page the bump is `width` wide, and
# the starts are `start` times as far out.)


# %%
def curve(w):
    return w**2 / 32 + 0.25 * tg.exp(-(((w - 3) / chosen.width) ** 2))


def roll(start, momentum, lr, steps, until=-np.inf):
    """Let go of a ball, or of an array of them; return where they are, step by step.

    It ends when all of them are left of `until`, or after so many steps.
    """
    w = tg.Tensor(np.asarray(start, float), requires_grad=True)
    optimizer, path = tg.Momentum([w], lr, momentum), [w.numpy()]
    while len(path) <= steps and np.max(path[-1]) > until:
        optimizer.zero_grad()
        curve(w).sum().backward()  # of all balls: none feels another's slope
        optimizer.step()
        path.append(w.numpy())
    return np.array(path)


grid = np.linspace(0, 12, 120_001)
heights = curve(grid)
bent = np.abs(np.gradient(np.gradient(heights, grid), grid)).max()  # the highest curvature
turns = grid[1:-1][np.diff(np.sign(np.diff(heights))) != 0]
TOP, DIP = turns[turns > 1]
START, ηs = 7 * chosen.start, chosen.lr * np.array([0.5, 1, 2, 4])
paths = {λ: roll(START, λ, chosen.lr, 150) for λ in (0.0, 0.85, 0.9)}
print(f"The top is at {TOP:.2f}, the dip at {DIP:.2f}; the curvature is at most {bent:.2f}.")
for λ, path in paths.items():
    print(f"λ = {λ}: after 150 steps w = {path[-1]:.3f}, where L = {curve(path[-1]):.3f}")

# %% [markdown]
# ## Four balls
#
# The path with λ = 0.9 passes the places of the notes' four balls. Printed for each place: how far
# the gradient alone would take the ball, how far the last step alone, and how far the ball goes.
# The first ball has no last step.

# %%
path = paths[0.9]
moves = np.diff(path)
lasts = np.r_[0, moves][:-1]
pulls = moves - 0.9 * lasts  # −ηg, what is left of m = λm − ηg
past = int(np.argmax(path < DIP))  # the first step beyond the critical point
uphill = (path[:-1] > TOP) & (moves < 0) & (np.arange(150) >= past)
places = {
    "1  on the slope": 0,
    "2  small gradient": int(np.argmin(np.where(path[:-1] > DIP + 0.5, np.abs(pulls), np.inf))),
    "3  critical point": past - int(abs(path[past - 1] - DIP) < abs(path[past] - DIP)),
    "4  uphill": int(np.argmax(np.where(uphill, pulls, -np.inf))),
}
print("ball                    w      −ηg    λ·last step    the step")
for name, place in places.items():
    print(
        f"{name:20}{path[place]:6.2f} {pulls[place]:+8.3f} {0.9 * lasts[place]:+11.3f}"
        f" {moves[place]:+14.3f}"
    )

# %% [markdown]
# ## The border, predicted by friction
#
# Let a step take the time √η. Then the rule is the motion of a ball of mass 1 with friction:
# w″ = −L′ − γw′, where centered differences give γ = (1 − λ)·√(2/(η(1 + λ))). For each unit of the
# way, the ball's energy E = ½w′² + L falls by γ|w′|, so dE/ds = −γ√(2(E − L)). This equation has γ
# in it, but neither η nor λ. For each start there is a largest friction γ\* with which the ball
# still comes to the top; from γ\* follows, for every η, which λ is enough.


# %%
def friction_borne(starts):
    """Return γ*, the most friction with which a ball from each start comes over the top."""
    w = starts + (TOP - starts) * np.linspace(0, 1, 4001)[:, None] ** 2  # finer where it is slow
    heights = curve(w)
    enough, too_much = np.zeros(len(starts)), np.full(len(starts), 5.0)
    for _ in range(20):
        γ = (enough + too_much) / 2
        E, over = heights[0], np.full(len(starts), True)
        for length, here, there in zip(-np.diff(w, axis=0), heights, heights[1:]):
            E = E - γ * np.sqrt(2 * np.maximum(E - (here + there) / 2, 0)) * length
            over &= there <= E
        enough, too_much = np.where(over, γ, enough), np.where(over, too_much, γ)
    return enough


def momentum_of(γ, η):
    """Return the λ that makes this friction: (1 − λ)² = c(1 + λ), where c = γ²η/2."""
    c = γ**2 * η / 2
    return (2 + c - (c**2 + 8 * c) ** 0.5) / 2


STEP = 0.0025
starts, momenta = chosen.start * np.arange(5, 12.1, 0.5), np.arange(0.4, 0.998, STEP)
γs = friction_borne(starts)
print("most friction:", dict(zip(starts.round(2).tolist(), γs.round(3).tolist())))

# %% [markdown]
# The rule, fixed before these runs: for all starts and every η that is small for this curve, that
# is η·max|L″| < 1, the predicted border is within 0.005 of the measured one. A ball has cleared the
# hill once it is left of the top.

# %%
cleared, borders, errors = {}, {}, {}
for η in tqdm(ηs, desc="every start and λ"):
    ends = [roll(starts, λ, η, int(100 / η**0.5), until=TOP).min(axis=0) for λ in momenta]
    cleared[η] = np.array(ends) < TOP
    first = np.where(cleared[η], momenta[:, None], np.inf).min(axis=0)
    borders[η] = first - STEP / 2  # between the last λ that stays and the first that does not
    errors[η] = np.abs(borders[η] - momentum_of(γs, η)).max()
    print(
        f"η = {η:.3g}, η·max|L″| = {η * bent:.2f}: from w = {START:g} over the hill for λ ≥ "
        f"{first[starts == START][0]:.4f}; largest error of the predicted border {errors[η]:.4f}"
    )
ends = [roll(starts, λ, chosen.lr, 1000)[-1] for λ in momenta[::8]]
back = ~(np.array(ends) < TOP) & cleared[chosen.lr][::8]
print(f"{back.sum()} of {cleared[chosen.lr][::8].sum()} balls came back and ended behind the hill.")


# %% plot
def draw_map():
    figure, axes = plt.subplots(figsize=(6, 3.4))
    axes.contourf(
        *(starts, momenta, cleared[chosen.lr]),
        levels=[-0.5, 0.5, 1.5],
        colors=["C0", "C1"],
        alpha=0.4,
    )
    predicted = momentum_of(γs, chosen.lr)
    axes.plot(starts, predicted, color="C3", lw=2)
    axes.text(starts[8], predicted[8] - 0.05, "predicted", color="C3", va="top")
    axes.text(starts[2], 0.55, "stays behind the hill")
    axes.text(starts[10], 0.945, "gets over", ha="center")
    for row, column in zip(*np.nonzero(back)):
        axes.plot(starts[column], momenta[8 * row], "x", color="gray")
    axes.set(xlabel="start w⁰", ylabel="λ", ylim=(0.5, 1), title=f"η = {chosen.lr:g}")
    return figure


usual = cleared[chosen.lr][:, starts == START][:, 0]
threshold = momenta[usual].min(initial=1)
enough = np.ceil(100 * threshold - 1e-9) / 100
evidence.save(
    "rolling_ball_map",
    draw_map,
    caption="Which balls get over the hill (orange), for every start and every λ, and the border "
    "that friction predicts (pink). From lower on the slope it takes more of the last step. "
    "Crosses: balls that came back and ended behind the hill.",
    alt=f"Map of the start w against λ. Balls above a falling curve get over the hill, those below "
    f"stay; the predicted border lies on the measured one. From {START:g} the border is at λ = "
    f"{threshold:.3f}.",
    lead=True,
)


# %% plot
def draw_friction():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2), sharex=True)
    for place, η in enumerate(ηs):
        λ = borders[η]
        look = {"marker": "osv^"[place], "ls": "", "color": f"C{place}", "label": f"η = {η:.3g}"}
        left.plot(starts, λ, **look)
        right.plot(starts, (1 - λ) * (2 / (η * (1 + λ))) ** 0.5, **look)
        left.plot(starts, momentum_of(γs, η), color="gray", zorder=0)
    right.plot(starts, γs, color="gray", zorder=0)
    left.set(xlabel="start w⁰", ylabel="least λ", ylim=(None, 1))
    right.set(xlabel="start w⁰", ylabel="most friction γ")
    right.legend(fontsize=9)
    return figure


evidence.save(
    "rolling_ball_friction",
    draw_friction,
    caption="The borders of four learning rates (left) are one curve of friction (right). Points: "
    "measured; gray lines: predicted.",
    alt="Left, four falling curves of the least λ against the start, one for each η. Right, the "
    "same points as friction γ: all lie on one curve that rises and levels off near 0.5.",
)


# %% plot
def landscape(axes, left, right):
    grid = np.linspace(left, right, 400)
    axes.plot(grid, curve(grid), color="gray", zorder=1)
    axes.set(xlabel="w", ylabel="L(w)")


def arrow(axes, w, height, length, **style):
    """Draw a horizontal arrow; in this landscape steps are short, so they are drawn longer."""
    shape = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0, "lw": 1.8} | style
    axes.annotate("", (w + 4 * length, height), (w, height), arrowprops=shape)


def draw_four():
    figure, axes = plt.subplots(figsize=(7, 3.6))
    landscape(axes, 2.2, START + 0.3)
    for height, (name, place) in zip((1.75, 1.4, 1.05, 0.7), places.items()):
        w = path[place]
        axes.plot([w, w], [curve(w), height], color="gray", lw=0.7, alpha=0.5)
        axes.plot(w, curve(w) + 0.03, "o", color="C1", markersize=11)
        arrow(axes, w, height + 0.14, 0.9 * lasts[place], color="gray", ls=":")
        arrow(axes, w, height + 0.07, pulls[place], color="C0")
        arrow(axes, w, height, moves[place], color="C1")
        axes.text(w + 0.14, height + 0.04, name, va="center", ha="left")
    axes.text(5.4, 0.55, "···>  λ · last step", color="gray")
    axes.text(5.4, 0.42, "—>  −ηg", color="C0")
    axes.text(5.4, 0.29, "—>  the step, their sum", color="C1")
    axes.set(ylim=(0.2, 2), xlim=(2.2, START + 1.6))
    return figure


evidence.save(
    "rolling_ball_four",
    draw_four,
    caption="The notes' four balls, found on one path with λ = 0.9. The first has no last step; "
    "the third stands where the slope is zero and moves on; the fourth is pulled back and moves on "
    "all the same. Steps are drawn four times as long.",
    alt="A curve with a dip and a hill, and four balls on it, each with arrows for what is left of "
    "its last step, for the gradient's part and for their sum. All four sums point to the left.",
)

# %% bet
evidence.bet(
    f"A ball starts at rest at w = {START:g} with η = {chosen.lr:g}. What part λ of its last step "
    "must it keep, at least, to get over the hill?",
    answer=float(enough),
    slider=(0, 1, 0.01),
    symbol="λ = ",
    told="Below that the ball comes to rest in the dip, however long you wait.",
)

# %% play [markdown]
# [Roll the ball yourself](playground.md#surface=ball&momentum=0.86). Drag it to another start, or
# change λ: where is the border?

# %% why [markdown]
# A step is λ times the last one plus a step down the slope, so a ball can pass a point where the
# slope is zero. What is not kept is friction: on its way the ball loses energy in proportion to γ,
# and it gets over if what is left of its start's height is more than the hill's. From far out γ\*
# no longer grows, because there the friction that a start can bear is what lets the bowl swing at
# all.

# %% [markdown]
# ## Verdict

# %% verdict
third, fourth = places["3  critical point"], places["4  uphill"]
carried = (
    abs(pulls[third]) < 0.15 * abs(moves[third])  # almost no gradient, yet moving on
    and lasts[third] * moves[third] > 0
    and pulls[fourth] > 0 > moves[fourth]  # pulled back, yet moving on
)
over = cleared[chosen.lr].any(axis=0)
stays = roll(starts, 0.0, chosen.lr, 1000)[-1] > TOP
law = {f"η = {η:.3g}": bool(errors[η] < 0.005) for η in ηs if η * bent < 1}
small = [η for η in ηs if η * bent < 1]
predicted = momentum_of(γs, chosen.lr)[starts == START][0]
worst = max(errors, key=errors.get)
caveat = (
    f"at η = {worst:.3g} η·max|L″| is {worst * bent:.2f}: balls jump over parts of the hill, and "
    f"the prediction is off by {errors[worst]:.3f}. Friction as the picture of momentum: Qian "
    "(1999)"
    if len(small) < len(ηs)
    else "with a larger η balls jump over parts of the hill, and the prediction fails. Friction as "
    "the picture of momentum: Qian (1999)"
)
evidence.report(
    "20",
    "Inertia carries a ball past critical points.",
    slide="a drawing, no numbers",
    headline=f"From w = {START:g}, λ = {enough:.2f} passes dip and hill; 0 stays",
    quote="重物借用惯性,能够滚得更远.将这种思想应用于梯度下降中,用这种思想能使参数越过临界点",
    ours=f"from each of {len(starts)} starts the ball with λ = 0 stays behind the hill in "
    f"{stays.sum()}, and with enough λ it passes the local minimum and the top in {over.sum()}",
    rule="reproduced if from every start λ = 0 stays behind the hill and some λ < 1 passes it; "
    "under conditions if from some; contradicted if from none",
    verdict=rules.judge_conditions((stays & over).tolist()),
    caveat=f"with enough λ: from {START:g} it takes λ ≥ {threshold:.3f}. What passes may also come "
    f"back: {back.sum()} of {cleared[chosen.lr][::8].sum()} balls that passed ended behind the hill"
    "",
)
evidence.report(
    "27",
    "With the gradient at zero the last step carries the ball on; uphill it may clear the hill.",
    slide="four balls on one slope, no numbers",
    headline=f"It clears the hill from λ = {threshold:.3f} on; predicted {predicted:.3f}",
    quote="第三个球位于临界点,梯度更新产生的距离虽然是\\(0\\),"
    "但是还有上一步惯性距离,所以球能越过临界点,"
    "假如第四个球的上一步惯性距离大于梯度距离,则球可能可以越过山顶",
    ours=f"over the hill from w = {START:g} for λ ≥ {threshold:.3f}, predicted {predicted:.3f}; "
    f"over {len(starts)} starts and {len(small)} learning rates the prediction is off by at most "
    f"{max(errors[η] for η in small):.4f}",
    rule="reproduced if for every η with η·max|L″| < 1 the border that friction predicts is within "
    "0.005 of the measured for all starts; under conditions if for some η. Contradicted if for "
    "none, or if the third ball (its gradient below 15 % of its step) stops, or the fourth turns "
    "back",
    verdict=rules.judge_conditions(law) if carried else "contradicted",
    caveat=caveat,
)
