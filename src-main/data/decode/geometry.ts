import type { DecodeTarget } from './decoder.ts';
import type { Size, Window } from './resample.ts';

/** To what size a picture is resized, and which part of that is kept: always target.width x target.height. */
export interface Placement {
  resized: Size;
  window: Window;
}

/**
 * `squash` resizes to the target whatever the aspect ratio (the VTAB protocol). `crop` resizes so that the shorter
 * side is target / cropPct, then cuts out the centre, with the roundings of timm and torchvision (Resize, CenterCrop).
 */
export function placePicture(source: Size, target: DecodeTarget): Placement {
  const { width, height } = target;
  if (target.fit === 'squash') return { resized: { width, height }, window: { left: 0, top: 0, width, height } };
  const resized = resizeShorterSide(source, Math.floor(width / target.cropPct), Math.floor(height / target.cropPct));
  const window = {
    left: roundHalfEven((resized.width - width) / 2),
    top: roundHalfEven((resized.height - height) / 2),
    width,
    height,
  };
  return { resized, window };
}

function resizeShorterSide(source: Size, width: number, height: number): Size {
  if (width * source.height > height * source.width)
    return { width, height: Math.max(height, Math.floor((width * source.height) / source.width)) };
  return { width: Math.max(width, Math.floor((height * source.width) / source.height)), height };
}

/** Python's round(), which torchvision's CenterCrop uses. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
