/** Shapes that steps are timed at: one class-token ViT each, 12 taps besides the embedding, rank 8, 10 classes. */
export const SHAPES = {
  vit_tiny: { tokens: 197, width: 192 },
  vit_b: { tokens: 197, width: 768 },
} as const;

export type ShapeName = keyof typeof SHAPES;

/** Shared by every side, PyTorch's included (peers/last_step.py repeats them). */
export const GROUPS = 12;
export const RANK = 8;
export const CLASSES = 10;
