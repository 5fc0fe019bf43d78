/** What a user can change about a dataset without touching a file: each edit is plain data, kept and taken back as a whole. */
import { z } from 'zod';
import { splitNames } from '../dataset.ts';
import { imageReferenceSchema } from '../image-reference.ts';

/** An image as an edit names it: where it lies and what it shows, so that it is found again after another import. */
const editedImageSchema = z.object({
  /** The path is the one that it has, or would have, in a copy: the same whether or not the images were copied. */
  ...imageReferenceSchema.shape,
  /** Counted from 1 where a list names the same picture several times; absent for the first. */
  nth: z.int().positive().optional(),
  /** The beginning of its content's SHA-256. */
  sha256: z.string().regex(/^[0-9a-f]{16}$/),
});
export type EditedImage = z.infer<typeof editedImageSchema>;

/** Characters of a hash that an edit keeps: enough to tell the pictures of one dataset apart. */
export const HASH_LENGTH = 16;

const className = z.string().min(1);

/** A picture that was added: its file lies in the dataset's own folder in the workspace, and is called by its content. */
const addedPictureSchema = z.object({
  path: z.string().regex(/^added\/[0-9a-f]{64}\.[a-z0-9]{1,5}$/),
  bytes: z.number(),
  mtimeMs: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AddedPicture = z.infer<typeof addedPictureSchema>;
/** Of all images of a class that are dealt, the part that goes to a split. */
const share = z.number().min(0).max(0.9);

/** @param image how images are named */
function editOf<Image extends z.ZodType>(image: Image) {
  const images = z.array(image).min(1);
  return z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('rename-class'), class: className, to: className }),
    /** Their images become those of `into`, which may be one of them, another class or a new one. */
    z.object({ kind: z.literal('merge-classes'), classes: z.array(className).min(1), into: className }),
    /** A class that does not exist yet comes into being. */
    z.object({ kind: z.literal('move-to-class'), images, class: className }),
    z.object({ kind: z.literal('move-to-split'), images, split: z.enum(splitNames) }),
    z.object({ kind: z.literal('exclude'), images }),
    z.object({ kind: z.literal('include'), images }),
    /** A picture of the workspace's own, to train on. */
    z.object({ kind: z.literal('add-picture'), picture: addedPictureSchema, class: className }),
    /** Deals the images anew, class by class; test images stay where they are when `test` is null. */
    z.object({ kind: z.literal('split'), val: share, test: share.nullable(), seed: z.int() }),
  ]);
}

export const editSchema = editOf(editedImageSchema);
export type Edit = z.infer<typeof editSchema>;

/** An edit as it is asked for: images by their places in the dataset. */
export const editWishSchema = editOf(z.int().nonnegative());
export type EditWish = z.infer<typeof editWishSchema>;
