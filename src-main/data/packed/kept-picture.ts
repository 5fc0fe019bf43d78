/** A picture as it is kept: an encoded file's bytes, or grey levels (height * width, row-major). */
export type ImageContent = { encoded: Buffer } | { grey: Uint8Array; width: number; height: number };

/** A file that holds many pictures. */
export interface PackedFile {
  /** @throws Failure `image` where the entry does not exist or holds no picture */
  read(entry: number): Promise<ImageContent>;
}
