"""The compiled loops over pixels: stains and local patterns."""

import numpy as np

from insignia.core.compiled import compiled

__all__ = ["order_statistics", "separate_stains", "uniform_patterns"]


@compiled()
def separate_stains(pixels: np.ndarray, table: np.ndarray, stains: np.ndarray) -> None:
    """Add up what each channel's value says about each stain; amounts below 0 become 0.

    `pixels` is (pixels, 3) uint8, `table` (3 channels, 256 values, 3 stains) float32, `stains` (3, pixels) float32.
    """
    for i in range(pixels.shape[0]):
        red, green, blue = table[0, pixels[i, 0]], table[1, pixels[i, 1]], table[2, pixels[i, 2]]
        for stain in range(3):
            stains[stain, i] = max(red[stain] + green[stain] + blue[stain], np.float32(0))


@compiled()
def order_statistics(values: np.ndarray, ranks: np.ndarray, found: np.ndarray) -> None:
    """Find the values of some ranks, ascending and from 0, without sorting: exact, and a tenth of a partial sort.

    `values` is (values,) float32, none below 0, whose bits therefore order as they do. Values are counted by their
    upper 16 bits, and only those that share them with a rank are sorted.
    """
    bits = values.view(np.uint32)
    counts = np.zeros(2**15, dtype=np.int32)
    for i in range(bits.size):
        # the sign of a zero does not count
        counts[(bits[i] >> np.uint32(16)) & np.uint32(0x7FFF)] += 1
    bucket, before, collected = -1, 0, False
    held = np.empty(0, dtype=np.float32)
    for k in range(ranks.size):
        while bucket < 0 or before + counts[bucket] <= ranks[k]:
            before += counts[bucket] if bucket >= 0 else 0
            bucket, collected = bucket + 1, False
        if not collected:
            held, n, is_flat = np.empty(counts[bucket], dtype=np.float32), 0, True
            for i in range(bits.size):
                if (bits[i] >> np.uint32(16)) & np.uint32(0x7FFF) == np.uint32(bucket):
                    held[n] = values[i]
                    is_flat &= values[i] == held[0]
                    n += 1
            if not is_flat:
                held.sort()
            collected = True
        found[k] = held[ranks[k] - before]


@compiled()
def uniform_patterns(
    grey: np.ndarray, reach: int, inner: int, weights: np.ndarray, classes: np.ndarray, counts: np.ndarray
) -> None:
    """Count the local binary patterns of 8 points on a circle, by their class, over pixels that have the whole circle.

    `reach` is how far the circle reaches along the axes. The points on the diagonals lie between the pixels `inner` and
    `inner + 1` away and are interpolated: `weights` are those of the near, the two mixed and the far pixel, whole
    numbers that add up to 2**16, so that a flat neighbourhood compares as equal. `classes`, (256,), gives the class of
    the eight comparisons; `counts` is added to.
    """
    near, mixed, far = weights[0], weights[1], weights[2]
    height, width = grey.shape[0], grey.shape[1] - 2 * reach
    codes = np.empty(width, dtype=np.uint8)
    for y in range(reach, height - reach):
        rows = (grey[y - inner], grey[y - inner - 1], grey[y + inner], grey[y + inner + 1])
        # views that start at each point of the first pixel: without negative positions the loop runs on vectors
        one, two, mirror_one, mirror_two = reach + inner, reach + inner + 1, reach - inner, reach - inner - 1
        row, right, left = grey[y, reach:], grey[y, 2 * reach :], grey[y]
        top, bottom = grey[y - reach, reach:], grey[y + reach, reach:]
        ne_a, ne_b, ne_c, ne_d = rows[0][one:], rows[0][two:], rows[1][one:], rows[1][two:]
        nw_a, nw_b, nw_c, nw_d = rows[0][mirror_one:], rows[0][mirror_two:], rows[1][mirror_one:], rows[1][mirror_two:]
        se_a, se_b, se_c, se_d = rows[2][one:], rows[2][two:], rows[3][one:], rows[3][two:]
        sw_a, sw_b, sw_c, sw_d = rows[2][mirror_one:], rows[2][mirror_two:], rows[3][mirror_one:], rows[3][mirror_two:]
        for x in range(width):
            centre = np.int32(row[x])
            scaled = centre << 16
            ne = near * ne_a[x] + mixed * (np.int32(ne_b[x]) + np.int32(ne_c[x])) + far * ne_d[x]
            nw = near * nw_a[x] + mixed * (np.int32(nw_b[x]) + np.int32(nw_c[x])) + far * nw_d[x]
            sw = near * sw_a[x] + mixed * (np.int32(sw_b[x]) + np.int32(sw_c[x])) + far * sw_d[x]
            se = near * se_a[x] + mixed * (np.int32(se_b[x]) + np.int32(se_c[x])) + far * se_d[x]
            codes[x] = (
                np.uint8(right[x] >= centre)
                | np.uint8(ne >= scaled) << 1
                | np.uint8(top[x] >= centre) << 2
                | np.uint8(nw >= scaled) << 3
                | np.uint8(left[x] >= centre) << 4
                | np.uint8(sw >= scaled) << 5
                | np.uint8(bottom[x] >= centre) << 6
                | np.uint8(se >= scaled) << 7
            )
        for x in range(width):
            counts[classes[codes[x]]] += 1
