"""SimSiam's loss in JAX on this loader: channels last, as XLA wants them."""

import tempfile
from pathlib import Path

import drawn
import jax
import jax.numpy as jnp

import simsiam


def init(key: jax.Array, width: int = 32, dim: int = 64) -> dict:
    """Two convolutions and a projection f, and a predictor h."""
    shapes = {
        "conv1": (3, 3, 3, width),
        "conv2": (3, 3, width, 2 * width),
        "project": (2 * width, dim),
        "predict1": (dim, dim // 4),
        "predict2": (dim // 4, dim),
    }
    keys = jax.random.split(key, len(shapes))
    scale = lambda shape: (2 / jnp.prod(jnp.array(shape[:-1]))) ** 0.5
    return {name: scale(shape) * jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items())}


def normalise(x: jax.Array) -> jax.Array:
    """Batch norm without parameters, over all axes but the last."""
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / jnp.sqrt(x.var(axes) + 1e-5)


def encode(params: dict, x: jax.Array) -> jax.Array:
    for name in ("conv1", "conv2"):
        x = jax.lax.conv_general_dilated(
            x, params[name], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(normalise(x))
    return normalise(x.mean((1, 2)) @ params["project"])


def similarity(p: jax.Array, z: jax.Array) -> jax.Array:
    norm = lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True)
    return (norm(p) * norm(z)).sum(-1).mean()


def loss(params: dict, x1: jax.Array, x2: jax.Array) -> jax.Array:
    z1, z2 = encode(params, x1), encode(params, x2)
    predict = lambda z: jax.nn.relu(normalise(z @ params["predict1"])) @ params["predict2"]
    stop = jax.lax.stop_gradient
    return -(similarity(predict(z1), stop(z2)) + similarity(predict(z2), stop(z1))) / 2


@jax.jit
def step(params: dict, x1: jax.Array, x2: jax.Array) -> tuple[dict, jax.Array]:
    value, gradients = jax.value_and_grad(loss)(params, x1, x2)
    return jax.tree.map(lambda p, g: p - 0.05 * g, params, gradients), value


def main() -> None:
    params = init(jax.random.key(0))
    with tempfile.TemporaryDirectory() as folder:
        shards = drawn.shards(Path(folder))
        with simsiam.Loader(shards, "cifar10", batch_size=32, workers=4, layout="NHWC") as loader:
            for epoch in range(2):
                for batch in loader:
                    x1, x2 = map(jax.dlpack.from_dlpack, batch.views)
                    params, value = step(params, x1, x2)
                print(f"epoch {epoch}  loss {value:.4f}")


if __name__ == "__main__":
    main()
