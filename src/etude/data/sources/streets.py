"""`streets`: street scenes with pixel masks, drawn by seed; the segmentation data that Étude brings along.

A sequence is a camera that drives down one street: the same houses, trees, poles, parked cars and walkers come nearer
from frame to frame, under the same light. Ground and house fronts are cast pixel by pixel from the camera, objects are
painted from far to near. A sequence is a group: its frames must not be parted by a split.

Legend: H and W pixels; x to the right, y up, z ahead, in metres; the street runs along z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from etude.core.seeds import derive
from etude.core.words import Part
from etude.data.items import UNLABELLED, Items, texts
from etude.data.sources.recipe import RecipeSource
from etude.pictures.prepare import VOID

Plane = npt.NDArray[np.float32]
Color = npt.NDArray[np.float32]
RECIPE: Final = 1
"""Raise it when a picture changes: it is part of the fingerprint."""

CLASSES: Final = ("sky", "building", "road", "pavement", "car", "pedestrian", "pole", "tree")
SKY, BUILDING, ROAD, PAVEMENT, CAR, PEDESTRIAN, POLE, TREE = range(len(CLASSES))

_BORDER_PX = 2
_FAR_M = 140.0
_STREET_M = 200.0
_PERIOD_M = 10.0
"""A house front is this long."""


def streets(
    *,
    n_train: int = 24,
    n_test: int = 8,
    n_frames: int = 10,
    size_px: tuple[int, int] = (96, 128),
    seed: int = 0,
) -> RecipeSource:
    """Open the street scenes.

    Args:
        n_train: sequences of the official training part; validation is cut from it, sequence by sequence.
        n_test: sequences of the official test part.
        n_frames: pictures a sequence.
        size_px: height and width of the pictures.
        seed: seed of all draws; the test part does not depend on how many training sequences there are.
    """
    sequences = [
        (part, number) for part, size in ((Part.TRAIN, n_train), (Part.TEST, n_test)) for number in range(size)
    ]
    groups = [f"{part.label}/{number:03d}" for part, number in sequences for _ in range(n_frames)]
    items = Items(
        texts(f"{group}/{place % n_frames:02d}" for place, group in enumerate(groups)),
        np.full(len(groups), UNLABELLED, np.int32),
        np.repeat(np.array([part for part, _ in sequences], np.int8), n_frames),
        texts(groups),
    )

    def draw() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        pictures = np.empty((len(groups), *size_px, 3), np.uint8)
        masks = np.empty((len(groups), *size_px), np.uint8)
        for place, (part, number) in enumerate(sequences):
            street = _Street(size_px, derive(seed, "streets", part.label, number))
            for frame in range(n_frames):
                row = place * n_frames + frame
                pictures[row], masks[row] = street.frame(frame)
        return pictures, masks

    height, width = size_px
    recipe = {"recipe": RECIPE, "n_train": n_train, "n_test": n_test, "n_frames": n_frames, "seed": seed}
    recipe |= {"height_px": height, "width_px": width}
    return RecipeSource("streets", "segmentation", CLASSES, items, recipe, draw)


@dataclass
class _Thing:
    """Something that stands in the street."""

    kind: int
    x: float
    z: float
    width: float
    height: float
    color: Color
    speed: float = 0.0
    """Metres a frame, along the street."""


@dataclass
class _Light:
    """The light and the air of one sequence."""

    zenith: Color
    horizon: Color
    gain: float
    tint: Color
    reach_m: float
    """Distance at which haze has taken two thirds of a colour."""
    sun: float
    """Which side is lit, -1 left to 1 right."""
    noise: float


class _Street:
    """One street, its light, and the camera that drives down it."""

    def __init__(self, size_px: tuple[int, int], seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.height_px, self.width_px = size_px
        draw = self.rng.uniform
        self.focal_px = self.width_px * float(draw(0.75, 1.0))
        self.eye_m = float(draw(1.3, 2.2))
        self.horizon_px = self.height_px * float(draw(0.36, 0.5))
        self.vanish_px = self.width_px * float(draw(0.4, 0.6))
        self.road_m, self.pavement_m = float(draw(3.2, 5.5)), float(draw(1.8, 3.5))
        self.offset_m = float(draw(-1.2, 1.2))  # of the camera from the middle of the road
        self.speed_m = float(draw(1.2, 3.0))
        self.light = self._draw_light()
        self.road_color = self._color(0.25, 0.5, 0.04)
        self.pavement_color = self._color(0.42, 0.72, 0.06)
        self.houses = [self._draw_houses() for _ in range(2)]
        self.things = self._draw_things()
        rows, columns = np.mgrid[: self.height_px, : self.width_px].astype(np.float32)
        self.across_HW = (columns + 0.5 - self.vanish_px) / self.focal_px
        self.down_HW = (rows + 0.5 - self.horizon_px) / self.focal_px

    def frame(self, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Draw one frame: uint8 (H, W, 3) and its ids (H, W)."""
        eye_z = number * self.speed_m
        scene = _Scene(self.height_px, self.width_px)
        self._draw_sky(scene, eye_z)
        self._draw_ground(scene, eye_z)
        for side in (0, 1):
            self._draw_fronts(scene, side, eye_z)
        ahead = [(thing.z + thing.speed * number - eye_z, thing) for thing in self.things]
        for z, thing in sorted(ahead, key=lambda pair: -pair[0]):
            if 2.0 < z < _FAR_M:
                self._draw_thing(scene, thing, z)
        return self._develop(scene)

    def _color(self, low: float, high: float, spread: float) -> Color:
        """Draw a colour of some lightness, nearly grey if the spread is small."""
        lightness = self.rng.uniform(low, high)
        return np.asarray(np.clip(lightness + self.rng.uniform(-spread, spread, 3), 0.02, 0.98), np.float32)

    def _draw_light(self) -> _Light:
        """Draw one of four kinds of light: clear, overcast, evening, dusk."""
        draw = self.rng.uniform
        kind = int(self.rng.integers(4))
        zenith, horizon, gain, tint = (
            ((0.25, 0.5, 0.9), (0.75, 0.87, 0.97), 1.05, (1.05, 1.0, 0.92)),
            ((0.66, 0.68, 0.71), (0.8, 0.81, 0.82), 0.85, (0.98, 1.0, 1.02)),
            ((0.38, 0.42, 0.66), (0.98, 0.72, 0.46), 0.8, (1.15, 0.95, 0.75)),
            ((0.08, 0.1, 0.24), (0.3, 0.3, 0.42), 0.52, (0.85, 0.92, 1.2)),
        )[kind]
        jitter = draw(0.92, 1.08, 3)
        return _Light(
            zenith=np.asarray(np.array(zenith) * jitter, np.float32),
            horizon=np.asarray(np.array(horizon) * jitter, np.float32),
            gain=gain * float(draw(0.85, 1.15)),
            tint=np.asarray(tint, np.float32),
            reach_m=float(draw(60, 260) if kind != 1 else draw(35, 120)),
            sun=float(draw(-1, 1)),
            noise=float(draw(0.008, 0.03)),
        )

    def _draw_houses(self) -> list[tuple[float, Color, Color, float]]:
        """Draw the fronts of one side: height in metres (0 is a gap), wall, windows, and width of a window bay."""
        houses = []
        for _ in range(int(_STREET_M / _PERIOD_M) + 1):
            height = 0.0 if self.rng.random() < 0.18 else float(self.rng.uniform(4.5, 16))
            windows = self._color(0.08, 0.3, 0.05) if self.rng.random() < 0.75 else self._color(0.7, 0.95, 0.1)
            houses.append((height, self._color(0.3, 0.85, 0.17), windows, float(self.rng.uniform(1.8, 3.2))))
        return houses

    def _draw_things(self) -> list[_Thing]:
        """Draw what stands and moves in the street."""
        draw, pick = self.rng.uniform, self.rng.random
        things = []
        for side in (-1, 1):
            edge = side * self.road_m
            kerb = side * (self.road_m + 0.35)
            walls = self.road_m + self.pavement_m
            z = float(draw(4, 14))
            while z < _STREET_M:
                if pick() < 0.55:
                    things.append(_Thing(TREE, kerb, z, float(draw(2.2, 4.5)), float(draw(4, 7.5)), self._leaves()))
                else:
                    sign = self._color(0.2, 0.9, 0.35)
                    things.append(_Thing(POLE, kerb, z, float(draw(0.6, 1.1)), float(draw(2.6, 6)), sign))
                z += float(draw(7, 18))
            z = float(draw(5, 25))
            while z < _STREET_M:
                parked = pick() < 0.65
                x = edge - side * 1.1 if parked else side * self.road_m * 0.45
                speed = 0.0 if parked else self.speed_m * (float(draw(0.6, 1.3)) if side > 0 else -float(draw(0.4, 1)))
                paint = self._color(0.1, 0.85, 0.3)
                things.append(_Thing(CAR, x, z, float(draw(1.7, 2.0)), float(draw(1.4, 1.75)), paint, speed))
                z += float(draw(8, 26))
            for z in draw(4, _STREET_M, int(self.rng.integers(8, 20))):
                x = side * float(draw(self.road_m + 0.5, walls - 0.3)) if pick() < 0.85 else float(draw(-3, 3))
                pace = float(draw(-0.25, 0.25))
                tall = float(draw(1.5, 1.9))
                things.append(_Thing(PEDESTRIAN, x, float(z), 0.34 * tall, tall, self._color(0.1, 0.8, 0.3), pace))
        return things

    def _leaves(self) -> Color:
        """Draw the colour of a crown: mostly green, sometimes of autumn."""
        red, green = self.rng.uniform(0.1, 0.32), self.rng.uniform(0.28, 0.5)
        if self.rng.random() < 0.15:
            red, green = green + 0.15, red + 0.12
        return np.asarray([red, green, self.rng.uniform(0.05, 0.2)], np.float32)

    def _draw_sky(self, scene: _Scene, eye_z: float) -> None:
        """Paint a sky that is paler towards the horizon, with clouds, over a far row of trees."""
        up = np.clip(-self.down_HW * 2.2, 0, 1)[..., None]
        scene.pixels_HW3[:] = self.light.horizon + up * (self.light.zenith - self.light.horizon)
        clouds = np.sin(self.across_HW * 9 + eye_z * 0.01) * np.sin(self.across_HW * 23 - self.down_HW * 31 + 1.3)
        scene.pixels_HW3 += (np.clip(clouds, 0, 1) * 0.12 * up[..., 0])[..., None]
        hedge = -self.down_HW < 0.035 + 0.015 * np.sin(self.across_HW * 40) + 0.01 * np.sin(self.across_HW * 97)
        scene.put(hedge & (self.down_HW < 0), np.array([0.2, 0.3, 0.16], np.float32), TREE, _FAR_M)

    def _draw_ground(self, scene: _Scene, eye_z: float) -> None:
        """Paint road and pavement, with the middle line, the kerb and the joints of the slabs."""
        below = self.down_HW > 1e-3
        depth = np.where(below, self.eye_m / np.maximum(self.down_HW, 1e-3), _FAR_M)
        below &= depth < _FAR_M
        x = self.across_HW * depth + self.offset_m
        z = depth + eye_z
        on_road = np.abs(x) < self.road_m
        wear = 0.03 * np.sin(x * 3.1) + 0.025 * np.sin(z * 1.7 + x) + 0.02 * np.sin(z * 0.31)
        line = (np.abs(x) < 0.09) & (np.mod(z, 6) < 3) & on_road
        shade = (1 + wear)[..., None] * self.road_color
        shade = np.where(line[..., None], np.float32(0.85), shade)
        scene.put(below & on_road, shade, ROAD, depth)
        joint = (np.mod(z, 1.2) < 0.1) | (np.mod(x, 1.2) < 0.08)
        kerb = np.abs(np.abs(x) - self.road_m) < 0.14
        slabs = self.pavement_color * (1 + wear - 0.12 * joint + 0.15 * kerb)[..., None]
        scene.put(below & ~on_road, slabs, PAVEMENT, depth)

    def _draw_fronts(self, scene: _Scene, side: int, eye_z: float) -> None:
        """Paint the house fronts of one side, with windows; a gap shows what is behind."""
        wall_m = (self.road_m + self.pavement_m) * (-1 if side == 0 else 1) - self.offset_m
        middle = int(np.clip(round(self.vanish_px), 0, self.width_px))
        left, right = (0, middle) if side == 0 else (middle, self.width_px)  # a front is seen on its own side only
        towards = np.abs(self.across_HW[:, left:right])
        depth = abs(wall_m) / np.maximum(towards, 1e-3)
        z = depth + eye_z
        y = self.eye_m - self.down_HW[:, left:right] * depth
        houses = self.houses[side]
        which = np.clip(z / _PERIOD_M, 0, len(houses) - 1).astype(np.intp)
        heights, walls, windows, bays = (np.array(column, np.float32) for column in zip(*houses, strict=True))
        facing = 1 + 0.3 * self.light.sun * (1 if side == 0 else -1)
        height, bay = heights[which], bays[which]
        hit = (depth < _FAR_M) & (y >= 0) & (y < height)
        pane = (np.mod(z, bay) > bay * 0.45) & (np.mod(y, 3.0) > 1.2) & (y < height - 0.6)
        color = np.where(pane[..., None], windows[which], (walls * np.float32(facing))[which])
        ledge = (np.mod(y, 3.0) < 0.15)[..., None]
        scene.window(0, self.height_px, left, right).put(
            hit, np.where(ledge, color * np.float32(0.8), color), BUILDING, depth
        )

    def _draw_thing(self, scene: _Scene, thing: _Thing, z: float) -> None:
        """Paint one thing at distance z, in the window of the picture that it covers."""
        scale = self.focal_px / z
        center = self.vanish_px + (thing.x - self.offset_m) * scale
        foot = self.horizon_px + self.eye_m * scale
        half, tall = thing.width * scale / 2, thing.height * scale
        left, right = int(np.floor(center - half)) - 1, int(np.ceil(center + half)) + 1
        top, bottom = int(np.floor(foot - tall)) - 1, int(np.ceil(foot + 0.15 * half)) + 1
        left, right, top, bottom = max(left, 0), min(right, self.width_px), max(top, 0), min(bottom, self.height_px)
        if left >= right or top >= bottom:
            return
        u = (np.arange(left, right, dtype=np.float32) + 0.5 - center)[None, :] / half
        v = (foot - np.arange(top, bottom, dtype=np.float32) - 0.5)[:, None] / tall
        window = scene.window(top, bottom, left, right)
        _PAINTERS[thing.kind](window, u, v, thing, self.light, z)

    def _develop(self, scene: _Scene) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Add light, haze and noise, and leave the border void, as annotators do."""
        light = self.light
        clear = np.exp(-scene.depth_HW / light.reach_m)[..., None]
        lit = np.where((scene.ids_HW == SKY)[..., None], scene.pixels_HW3, scene.pixels_HW3 * light.gain * light.tint)
        lit = light.horizon * (1 - clear) + lit * clear
        noise = self.rng.standard_normal(lit.shape, np.float32) * np.float32(light.noise)
        ids = scene.ids_HW.copy()
        ids[:_BORDER_PX] = ids[-_BORDER_PX:] = VOID
        ids[:, :_BORDER_PX] = ids[:, -_BORDER_PX:] = VOID
        return np.asarray(np.clip((lit + noise) * 255 + 0.5, 0, 255), np.uint8), ids


class _Scene:
    """A picture while it is painted: colours in 0..1, ids, and the distance of each pixel in metres."""

    def __init__(self, height_px: int, width_px: int) -> None:
        self.pixels_HW3: Plane = np.zeros((height_px, width_px, 3), np.float32)
        self.ids_HW = np.full((height_px, width_px), SKY, np.uint8)
        self.depth_HW: Plane = np.zeros((height_px, width_px), np.float32)

    def window(self, top: int, bottom: int, left: int, right: int) -> _Scene:
        """Return a part of the picture that shares its memory."""
        part = object.__new__(_Scene)
        area = np.s_[top:bottom, left:right]
        part.pixels_HW3, part.ids_HW, part.depth_HW = self.pixels_HW3[area], self.ids_HW[area], self.depth_HW[area]
        return part

    def put(self, where_HW: npt.NDArray[np.bool_], color: Plane, class_id: int, depth: Any) -> None:  # noqa: ANN401 - a number or a plane
        """Paint a class in one colour, or in a colour for each pixel, at one distance or at one for each pixel."""
        np.copyto(self.pixels_HW3, color, where=where_HW[..., None])
        np.copyto(self.ids_HW, np.uint8(class_id), where=where_HW)
        np.copyto(self.depth_HW, np.asarray(depth, np.float32), where=where_HW)

    def shade(self, where_HW: npt.NDArray[np.bool_], factor: float) -> None:
        """Darken the ground without changing what it is."""
        ground = (self.ids_HW == ROAD) | (self.ids_HW == PAVEMENT)
        self.pixels_HW3[where_HW & ground] *= np.float32(factor)


def _paint_car(window: _Scene, u: Plane, v: Plane, thing: _Thing, light: _Light, z: float) -> None:
    """Paint a car from behind: shadow, body, cabin, glass, lamps, wheels."""
    window.shade((np.abs(u) < 1.05) & (v < 0.1), 0.5)
    wheels = (np.abs(np.abs(u) - 0.72) < 0.17) & (v >= 0) & (v < 0.28)
    body = (np.abs(u) ** 4 + np.abs((v - 0.4) / 0.26) ** 4) < 1
    cabin = (v >= 0.55) & (v < 1) & (np.abs(u) < 0.86 - 0.45 * (v - 0.55))
    glass = cabin & (v > 0.62) & (v < 0.92) & (np.abs(u) < 0.72 - 0.45 * (v - 0.55))
    lamps = body & (np.abs(np.abs(u) - 0.78) < 0.13) & (np.abs(v - 0.47) < 0.07)
    window.put(wheels, np.array([0.05, 0.05, 0.06], np.float32), CAR, z)
    shine = (0.8 + 0.4 * np.clip(v, 0, 1))[..., None]
    window.put(body | cabin, np.asarray(thing.color * shine, np.float32), CAR, z)
    window.put(glass, np.array([0.16, 0.2, 0.25], np.float32) + 0.25 * light.horizon, CAR, z)
    window.put(lamps, np.array([0.85, 0.12, 0.1], np.float32), CAR, z)


def _paint_pedestrian(window: _Scene, u: Plane, v: Plane, thing: _Thing, light: _Light, z: float) -> None:
    """Paint a walker: legs, trunk, head."""
    window.shade((u * u + (v / 0.05) ** 2) < 1, 0.65)
    stride = 0.22 + 0.12 * np.sin(z * 2.3)
    legs = (v >= 0) & (v < 0.48) & (np.abs(np.abs(u) - stride * (1 - v / 0.48) - 0.12) < 0.2)
    trunk = (v >= 0.44) & (v < 0.84) & (np.abs(u) < 0.62 - 0.3 * np.abs(v - 0.7))
    head = ((u / 0.36) ** 2 + ((v - 0.92) / 0.085) ** 2) < 1
    window.put(legs, thing.color[::-1] * np.float32(0.55), PEDESTRIAN, z)
    window.put(trunk, thing.color, PEDESTRIAN, z)
    window.put(head, np.array([0.72, 0.53, 0.42], np.float32) * thing.color.mean() * 1.4, PEDESTRIAN, z)


def _paint_pole(window: _Scene, u: Plane, v: Plane, thing: _Thing, light: _Light, z: float) -> None:
    """Paint a pole with a round sign, or a lamp if it is tall."""
    pixel = float(u[0, 1] - u[0, 0]) if u.shape[1] > 1 else 0.2
    thin = max(0.1, 0.5 * pixel)  # a far pole is a pixel wide rather than none
    shaft = (np.abs(u) < thin) & (v >= 0) & (v < 0.97)
    ratio = thing.height / (thing.width / 2)
    tall = thing.height > 4.2
    plate = (np.abs(v - 0.97) < 0.025) & (u > -0.1) if tall else (u * u + ((v - 0.86) * ratio) ** 2) < 1
    window.put(shaft, np.array([0.33, 0.34, 0.36], np.float32), POLE, z)
    window.put(plate, thing.color if not tall else np.array([0.4, 0.4, 0.42], np.float32), POLE, z)


def _paint_tree(window: _Scene, u: Plane, v: Plane, thing: _Thing, light: _Light, z: float) -> None:
    """Paint a trunk and a ragged crown, lit from the side of the sun."""
    window.shade((u * u + (v / 0.05) ** 2) < 1, 0.75)
    window.put((np.abs(u) < 0.09) & (v >= 0) & (v < 0.5), np.array([0.26, 0.19, 0.13], np.float32), TREE, z)
    angle = np.arctan2(v - 0.66, u * 0.4)
    ragged = 1 + 0.1 * np.sin(angle * 7 + thing.z) + 0.07 * np.sin(angle * 13 + thing.x)
    crown = u * u + ((v - 0.66) / 0.34) ** 2 < ragged**2 * 0.85
    leaves = 1 + 0.25 * light.sun * u + 0.22 * np.sin(u * 17 + thing.z) * np.sin(v * 41)
    window.put(crown, thing.color * leaves[..., None], TREE, z)


_PAINTERS: Final = {CAR: _paint_car, PEDESTRIAN: _paint_pedestrian, POLE: _paint_pole, TREE: _paint_tree}
