# %% [markdown]
# # What kind of point is it? Ask the Hessian
#
# Where the gradient is zero, gradient descent has nothing to follow: a critical point (临界点).
# What kind of point is it, and how does one get away from a saddle?
#
# The notes say that it "may be a local minimum or a saddle point (鞍点)", that the Hessian H tells
# which, and that at a saddle we can escape along the eigenvector (特征向量) of a negative
# eigenvalue. For a small step d away from a point with g = 0,
#
# $$L(\theta + d) \approx L(\theta) + \tfrac12\, d^\top H d,$$
#
# so with d = εu, u being a unit eigenvector of the eigenvalue λ, the loss changes by ½λε²: up where
# λ > 0, down where λ < 0. The signs of the eigenvalues are the whole answer, unless one is zero.

# %%
import sys
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import tinygrad_edu as tg

sys.path.append(str(Path(__file__).parent.parent))  # what the examples share
import evidence
import rules

# %% [markdown]
# ## Six critical points
#
# Each of these has a zero gradient at its point. The Hessian gives its opinion. The truth we find
# without derivatives: walk once around the point on a small circle, and look whether L is higher
# all the way, lower all the way, or both. The last two points are made to be hard.

# %%
SPECIMENS = {  # a loss of (v, w), and its critical point
    "v² + w²": (lambda v, w: v * v + w * w, (0.0, 0.0)),
    "−v² − w²": (lambda v, w: -v * v - w * w, (0.0, 0.0)),
    "(1 − vw)² at 0": (lambda v, w: (1 - v * w) ** 2, (0.0, 0.0)),
    "(1 − vw)² at (1, 1)": (lambda v, w: (1 - v * w) ** 2, (1.0, 1.0)),
    "v² + w⁴": (lambda v, w: v * v + w**4, (0.0, 0.0)),
    "v² + w³": (lambda v, w: v * v + w**3, (0.0, 0.0)),
}


def ask_hessian(loss, point):
    """Classify a critical point by its gradient and Hessian."""
    place = tg.Tensor(point, requires_grad=True)
    H = tg.HessianOperator(lambda: loss(place[0], place[1]), [place])
    return tg.classify_critical_point(H, H.gradient)


def walk_around(loss, point, radius=0.01):
    """Tell what kind of point it is by the values on a small circle around it."""
    angles = np.linspace(0, 2 * np.pi, 1000)
    v, w = point[0] + radius * np.cos(angles), point[1] + radius * np.sin(angles)
    higher = loss(v, w) - loss(*point) > 0
    if higher.any() and not higher.all():
        return "saddle point"
    return "local minimum" if higher.any() else "local maximum"


opinions = {name: ask_hessian(*specimen) for name, specimen in SPECIMENS.items()}
truths = {name: walk_around(*specimen) for name, specimen in SPECIMENS.items()}
for name, opinion in opinions.items():
    print(f"{name:20} {truths[name]:14} H says: {opinion}")


# %% plot
def draw_kinds():
    figure, panels = plt.subplots(1, 6, figsize=(9, 2.2), sharex=True, sharey=True)
    grid = np.linspace(-1, 1, 101)
    for axes, (name, (loss, (v, w))) in zip(panels, SPECIMENS.items()):
        change = loss(v + grid, w + grid[:, None]) - loss(v, w)
        levels, colors = [-1.2, -0.6, -0.2, -0.05, 0.05, 0.2, 0.6, 1.2], ["C1"] * 4 + ["C0"] * 4
        axes.contour(grid, grid, change, levels, colors=colors, linestyles="-", linewidths=1.2)
        axes.plot(0, 0, "o", color="gray")
        axes.set_title(name.replace(" at", "\nat"), fontsize=9)
        opinion = opinions[name].kind.replace(" (degenerate)", "")
        axes.set_xlabel(f"{truths[name]}\nH: {opinion}", fontsize=9)
        axes.set(xticks=[], yticks=[], aspect="equal")
    return figure


evidence.save(
    "saddle_kinds",
    draw_kinds,
    caption="Six critical points. Blue lines are higher than the point, orange ones lower; below "
    "each picture stands what a small circle around the point shows, and what the Hessian says.",
    alt="Six small contour maps: a minimum, a maximum, a saddle, a curve of minima, a flat minimum "
    "and a flat saddle.",
)

# %% [markdown]
# The third and the fourth are the
# lecture's own loss: y = w₁w₂x with the one sample x = y = 1. Its minima form the whole curve
# w₁w₂ = 1, flat along the curve, so one eigenvalue is zero and H does not decide. It cannot:
# v² + w⁴ and v² + w³ have the *same* H at 0, and only one of them is a minimum.
#
# The second is a maximum, which the sentence leaves out. In a network that does no harm. The loss
# is convex in the last layer's bias, so in that direction it bends up at every point, and no point
# is a maximum:

# %%
images, labels = (part.data for part in tg.datasets.digits()[0][:])
targets = np.eye(10)[labels]  # float64, as curvature needs it
network = tg.nn.perceptron(64, 5, 10, activation=tg.nn.Tanh(), seed=0, dtype="float64")
parameters = network.parameters()


def network_loss():
    return tg.mse_loss(network(images), targets)


along_bias = np.eye(385)[-1]  # of the 385 parameters, the last is an output's bias
bend = float(along_bias @ tg.hvp(network_loss, parameters, along_bias))
print(f"At random weights the loss bends by {bend:.3f} along a bias: 2/10, whatever the weights")

# %% [markdown]
# ## The way out of the slide's saddle
#
# At (0, 0) every path of the slide's loss looks flat. The library finds the way down:

# %%
w = tg.Tensor([0.0, 0.0], requires_grad=True)


def slide_loss():
    return (1 - w[0] * w[1]) ** 2


H = tg.hessian(slide_loss, [w])
u = tg.escape_direction(H)
eigenvalues, eigenvectors = np.linalg.eigh(H)
print(f"H = {H.tolist()}, eigenvalues {eigenvalues}, escape along u = {u.round(3)}")


# %% [markdown]
# A real network has such a saddle, too: all weights zero, and the output biases at the targets'
# mean. No hidden unit says anything then, and no output listens to one, so the gradient is zero.
# At both saddles: what H predicts for a step ε along u, and what happens.


# %%
def step_along(parameters, loss, direction, sizes):
    """Return the changes of the loss for steps of these sizes along a flat direction."""
    start, losses = tg.nn.parameters_to_vector(parameters), [loss().item()]
    for size in sizes:
        tg.nn.vector_to_parameters(start + size * direction, parameters)
        losses.append(loss().item())
    return np.array(losses[1:]) - losses[0]


for parameter in parameters:
    parameter.data = np.zeros_like(parameter.data)
parameters[-1].data = targets.mean(axis=0)
curvature = tg.HessianOperator(network_loss, parameters)
point = tg.classify_critical_point(curvature, curvature.gradient)
print(f"The network of {curvature.shape[0]} parameters: {point}")

sizes = np.array([1e-3, 1e-2, 1e-1, 1.0])
lowest = {"slide": eigenvalues[0], "network": point.lowest}
changes = {
    "slide": step_along([w], slide_loss, u, sizes),
    "network": step_along(parameters, network_loss, tg.escape_direction(curvature), sizes),
}
for name, change in changes.items():
    print(f"{name}: ½λε² = {0.5 * lowest[name] * sizes**2}, measured {change}")


# %% [markdown]
# Then gradient descent at η = 0.1 goes on: from the saddle itself, and from one step ε = 0.001 off.


# %%
def descend(step, lr=0.1, at_most=2000):
    """Step along u, then follow the gradient until L < 1e-6; return the path."""
    w.data = step * u
    path = [np.zeros(2), w.data]
    loader = tg.DataLoader(tg.TensorDataset([1.0]))  # the one sample, x = y = 1
    for _ in islice(tg.updates(lambda x: slide_loss(), loader, tg.SGD([w], lr)), at_most):
        path.append(w.data)
        if slide_loss().item() < 1e-6:
            break
    return np.array(path)


stuck, path = descend(0.0), descend(1e-3)
needed = len(path) - 2  # updates, without the start and the step along u
print(f"Without the step: at {stuck[-1]} after {len(stuck) - 2} updates")
print(f"With it: at {path[-1].round(3)} after {needed} updates")


# %% plot
def draw_escape():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4))
    grid = np.linspace(-1.7, 1.7, 201)
    surface = (1 - grid * grid[:, None]) ** 2
    left.contour(grid, grid, surface, [0.05, 0.3, 0.7, 1, 1.4, 2.5, 5, 9], colors="gray", alpha=0.4)
    left.contour(grid, grid, grid * grid[:, None], [1], colors="C2", linewidths=2)
    left.text(-1.65, -1.6, "minima\nw₁w₂ = 1", color="C2")
    left.plot(*path.T, "o-", color="C0", markersize=3)
    for i, color, name in ((0, "C0", "λ = −2"), (1, "C1", "λ = +2")):
        vector = 0.7 * eigenvectors[:, i] * -np.sign(eigenvectors[1, i])
        arrow = {"arrowstyle": "<->", "color": color, "linewidth": 1.5}
        left.annotate("", vector, -vector, arrowprops=arrow)
        left.text(*(1.15 * vector), name, color=color, ha="center", va="top")
    left.set(xlabel="w₁", ylabel="w₂", aspect="equal", title="L = (1 − w₁w₂)²")
    for (name, change), color in zip(changes.items(), ("C0", "C3")):
        right.loglog(sizes, -0.5 * lowest[name] * sizes**2, color="gray", linewidth=1)
        right.loglog(sizes, -change, "o", color=color, markersize=6)
        right.text(sizes[1] * 1.3, -change[1] / 2, f"{name}’s saddle", color=color, va="top")
    right.set(xlabel="step ε along u", ylabel="fall of L", title="line: ½|λ|ε², dots: measured")
    return figure


evidence.save(
    "saddle_escape",
    draw_escape,
    caption="Left, the slide's loss: one step along the eigenvector of λ = −2 (blue), then "
    "gradient descent, which never leaves without it. Right, how much the loss falls for a step of "
    "length ε: by ½|λ|ε², as the Hessian predicts.",
    alt="Left: contours of (1 − w₁w₂)² with a path from the saddle at 0 to a minimum. Right: the "
    "dots of two saddles lie on the predicted straight lines up to ε = 0.1.",
    lead=True,
)

# %% bet
decided = {name: "inconclusive" not in opinion.kind for name, opinion in opinions.items()}
evidence.bet(
    "Six critical points of functions of two variables: about how many of them does the Hessian "
    "decide what they are?",
    answer=f"{sum(decided.values())} of 6",
    options=[f"{n} of 6" for n in (1, 2, 3, 4, 5, 6)],
    told="At the others an eigenvalue is zero, and there the Hessian cannot tell.",
)

# %% play [markdown]
# [Start near the saddle](playground.md#surface=saddle&lr=0.05&momentum=0). Put the start on the
# line w₂ = −w₁, and gradient descent rolls into the saddle; a little beside it, it gets away.

# %% why [markdown]
# Near a critical point the loss is a quadratic form, and its eigenvalues are the curvatures along
# its axes. If all are positive, every way leads up; if all are negative, down; if there are both,
# it is a saddle, and the eigenvector of a negative one is a way down that the gradient cannot see.
# A zero eigenvalue says that along its axis the loss is flat to second order, and then higher
# orders decide.

# %% [markdown]
# ## Verdict

# %% verdict
kinds = sorted(set(truths.values()))
flat = not any(opinion.gradient_norm for opinion in opinions.values())
wrong = [name for name in opinions if decided[name] and opinions[name].kind != truths[name]]
right = not wrong and H.tolist() == [[0, -2], [-2, 0]] and np.allclose(eigenvalues, [-2, 2])
evidence.report(
    "28",
    "At a critical point the gradient is zero; it may be a local minimum or a saddle point.",
    slide="“local minima” and “saddle point”, no numbers",
    ours=f"{len(truths)} points with ‖g‖ = 0 are of {len(kinds)} kinds: {', '.join(kinds)}",
    rule="wording if the circle finds a local maximum among points of zero gradient; reproduced if "
    "it finds minima and saddles only; contradicted if a gradient is not zero",
    verdict=("wording" if "local maximum" in kinds else "reproduced") if flat else "contradicted",
    headline=f"{len(kinds)} kinds of critical points, not two"
    if len(kinds) > 2
    else "minima and saddles only",
    quote="临界点的梯度为零.临界点可能是局部最小值或者鞍点",
    caveat="maxima are left out. In a network with a linear last layer there are none: along an "
    f"output's bias the loss bends by {bend:.2g} > 0 everywhere",
)
evidence.report(
    "29",
    "The Hessian's eigenvalues tell minimum, maximum and saddle apart.",
    slide="y = w₁w₂x, L = (1 − w₁w₂)²: at (0, 0) H = [[0, −2], [−2, 0]], λ = ±2, a saddle",
    ours=f"H = {H.tolist()}, λ = {eigenvalues.round(3).tolist()}; {sum(decided.values())} of "
    f"{len(decided)} points decided, {len(wrong)} of them wrongly; the others have a λ = 0",
    rule="reproduced if H decides all six points as the circle does; under conditions if it leaves "
    "some open; contradicted if it is wrong about one, or differs from the slide's numbers",
    verdict=rules.judge_conditions(
        {name: "reproduced" if sure else "not seen" for name, sure in decided.items()}
    )
    if right
    else "contradicted",
    headline=f"{sum(decided.values())} of {len(decided)} points decided, {len(wrong)} wrongly",
    quote="可通过 H矩阵判断临界点是哪一个",
    caveat="no eigenvalue may be zero. The slide's own minima, w₁w₂ = 1, have one; at such points "
    "higher derivatives decide",
)
error = max(abs(changes[name][0] / (0.5 * lowest[name] * sizes[0] ** 2) - 1) for name in changes)
escaped = slide_loss().item() < 1e-6 and not stuck[-1].any()
evidence.report(
    "30",
    "At a saddle, step along the eigenvector of a negative eigenvalue, and the loss falls.",
    slide="u = [1, 1], λ = −2; no step and no loss",
    ours=f"ε = 0.001: ΔL = {changes['slide'][0]:.3g} = ½λε² within {error:.0e}, in the network "
    f"{changes['network'][0]:.3g}, too; then {needed} updates to L < 1e-6",
    rule="reproduced if both losses fall by ½λε² within 1 % at ε = 0.001, and gradient descent "
    "then reaches L < 1e-6, but never leaves without the step; otherwise contradicted",
    verdict="reproduced" if error < 0.01 and escaped else "contradicted",
    headline=f"the loss falls by ½λε²; {needed} updates later L < 1e-6",
    quote="假如通过 H矩阵判断出是鞍点,那么可以沿着 H矩阵的负的特征向量方向更新参数,从而逃离鞍点",
    caveat="the notes say “negative eigenvector”: the eigenvalue is what is negative, and −u is as "
    "good as u",
)
