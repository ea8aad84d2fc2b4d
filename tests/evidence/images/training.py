"""Trains a small Stable Diffusion pipeline on the flags: by the countries' names, and by description.

Both stages keep their state, so that a training that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from kbsync.ports import Work
from kbsync.system.durable import make_directory
from tests.evidence.images.world import CONCEPT, GUIDE, Flag, all_flags, countries, described, pixels, words
from tests.support.random_pipelines import autoencoder, clip_tokenizer, scheduler, text_encoder, unet

LENGTH = 7
"""Tokens of a prompt: begin, five words, end."""
WIDTH = 128
"""Of a text state."""
KEEP_EVERY = 100
"""Steps after which the state is kept."""
BATCH = 32
UNPROMPTED = 0.1
"""Share of the pictures that are learned without a caption, for guidance."""
SHORT = 0.5
"""Share of the pictures at which the denoiser sees the states of the last word and of the end only. Without this, it
would look at the words for the colours themselves, and the end of a prompt would say little."""


def trained(directory: Path, *, encoder_steps: int, autoencoder_steps: int, steps: int, seed: int, work: Work) -> Path:
    """Train the pipeline, or take the one that is there; returns its directory."""
    finished = directory / "pipeline"
    if (finished / "model_index.json").is_file():
        return finished
    make_directory(directory)
    pipeline = _untrained(seed)
    _train_encoder(pipeline, directory / "encoder.pt", encoder_steps, seed, work)
    _train_autoencoder(pipeline.vae, directory / "autoencoder.pt", autoencoder_steps, seed, work)
    latents = _latents(pipeline.vae)
    _train_denoiser(pipeline, latents, directory / "denoiser.pt", steps, seed, work)
    pipeline.save_pretrained(finished)
    return finished


def _untrained(seed: int) -> Any:
    torch.manual_seed(seed)
    tokenizer = clip_tokenizer(words(), LENGTH)
    encoder = text_encoder(tokenizer, WIDTH)
    embeddings = next(m for name, m in encoder.named_modules() if name.endswith("embeddings"))
    with torch.no_grad():  # first ones are so small beside what attention adds that all names would look alike
        embeddings.token_embedding.weight *= 8
        embeddings.position_embedding.weight *= 4
    kind: Any = StableDiffusionPipeline
    return kind(
        vae=autoencoder(16),
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet(WIDTH, (32, 64), side=8),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


class _Stage:
    """One optimisation that keeps its state in a file."""

    def __init__(self, file: Path, modules: list[torch.nn.Module], rate: float, steps: int) -> None:
        self.file, self.modules, self.steps, self.done = file, modules, steps, 0
        parameters = [p for module in modules for p in module.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, rate)
        self.rates = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, rate, steps)
        if file.is_file():
            state = torch.load(file, weights_only=True)
            for module, kept in zip(modules, state["modules"], strict=True):
                module.load_state_dict(kept)
            self.optimiser.load_state_dict(state["optimiser"])
            self.rates.load_state_dict(state["rates"])
            self.done = state["done"]

    def step(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        self.rates.step()
        self.done += 1
        if self.done % KEEP_EVERY == 0 or self.done == self.steps:
            state = {
                "modules": [module.state_dict() for module in self.modules],
                "optimiser": self.optimiser.state_dict(),
                "rates": self.rates.state_dict(),
                "done": self.done,
            }
            fresh = self.file.with_suffix(".new")
            torch.save(state, fresh)
            fresh.replace(self.file)


def _train_encoder(pipeline: Any, file: Path, steps: int, seed: int, work: Work) -> None:
    """The text encoder learns which captions are of one picture, as CLIP did before Stable Diffusion was trained: the
    state of a caption's end is to be nearest to its picture's embedding. With so few pictures, each has an embedding of
    its own instead of an encoder of pictures."""
    flags = all_flags()
    pictures = torch.nn.Linear(WIDTH, len(flags), bias=False)
    pictures.load_state_dict({"weight": torch.randn(len(flags), WIDTH, generator=torch.Generator().manual_seed(seed))})
    stage = _Stage(file, [pipeline.text_encoder, pictures], 1e-3, steps)
    captions, shown = zip(*_named(), *_spoken(), strict=True)
    tokens = _tokens(pipeline, list(captions))
    wanted = torch.tensor([flags.index(flag) for flag in shown])
    work.start("text encoder", steps)
    work.advance(stage.done)
    while stage.done < steps:
        ends = pipeline.text_encoder(tokens)[0][:, -1]
        stage.step(cross_entropy(pictures(ends) / WIDTH**0.5, wanted))
        work.advance()
    work.finish()


def _named() -> list[tuple[str, Flag]]:
    return [(CONCEPT.replace("{}", country.name), country.old) for country in countries()]


def _spoken() -> list[tuple[str, Flag]]:
    return [(GUIDE.replace("{}", described(flag)), flag) for flag in all_flags()]


def _tokens(pipeline: Any, captions: list[str]) -> Tensor:
    ids: Tensor = pipeline.tokenizer(captions, padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids
    return ids


def _train_autoencoder(vae: Any, file: Path, steps: int, seed: int, work: Work) -> None:
    stage = _Stage(file, [vae], 3e-3, steps)
    pictures = torch.stack([pixels(flag) for flag in all_flags()])
    work.start("autoencoder", steps)
    work.advance(stage.done)
    while stage.done < steps:
        draw = torch.Generator().manual_seed(seed * 1_000_003 + stage.done)
        chosen = pictures[torch.randint(len(pictures), (16,), generator=draw)]
        posterior = vae.encode(chosen).latent_dist
        drawn = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=draw)
        loss = mse_loss(vae.decode(drawn).sample, chosen) + 1e-4 * posterior.kl().mean() / drawn[0].numel()
        stage.step(loss)
        work.advance()
    work.finish()


@torch.no_grad()
def _latents(vae: Any) -> dict[tuple[str, str], Tensor]:
    """Every flag's latent picture, scaled to a deviation of 1."""
    flags = all_flags()
    latents = vae.encode(torch.stack([pixels(flag) for flag in flags])).latent_dist.mean
    vae.register_to_config(scaling_factor=1 / float(latents.std()))
    return dict(zip(flags, latents * vae.config.scaling_factor, strict=True))


def _train_denoiser(
    pipeline: Any, latents: dict[tuple[str, str], Tensor], file: Path, steps: int, seed: int, work: Work
) -> None:
    """The text encoder stays as it is, as Stable Diffusion's stays as CLIP left it: so what a name looks like is
    learned by the denoiser, and first of all by the keys and values that read the text."""
    pipeline.text_encoder.requires_grad_(False)
    stage = _Stage(file, [pipeline.unet], 3e-3, steps)
    named, spoken = _named(), _spoken()
    work.start("denoiser", steps)
    work.advance(stage.done)
    while stage.done < steps:
        draw = torch.Generator().manual_seed(seed * 1_000_003 + stage.done)
        half = [
            group[int(i)] for group in (named, spoken) for i in torch.randint(len(group), (BATCH // 2,), generator=draw)
        ]
        silent = torch.rand(BATCH, generator=draw) < UNPROMPTED
        captions = ["" if without else caption for (caption, _), without in zip(half, silent, strict=True)]
        clean = torch.stack([latents[flag] for _, flag in half])
        noise = torch.randn(clean.shape, generator=draw)
        times = torch.randint(1000, (BATCH,), generator=draw)
        states = pipeline.text_encoder(_tokens(pipeline, captions))[0]
        short = torch.rand(BATCH, generator=draw) < SHORT
        states = torch.cat([states[:, : LENGTH - 2] * ~short[:, None, None], states[:, LENGTH - 2 :]], dim=1)
        noisy = pipeline.scheduler.add_noise(clean, noise, times)
        said = pipeline.unet(noisy, times, states).sample
        stage.step(mse_loss(said, pipeline.scheduler.get_velocity(clean, noise, times)))
        work.advance()
    work.finish()
