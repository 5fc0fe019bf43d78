/**
 * Memory of some megabytes that is wanted again and again: taken anew each time it would have to be cleared first, and
 * the garbage collector comes by every few batches for what lies outside of its heap.
 */
export class SpareBuffers {
  private readonly bySize = new Map<number, ArrayBuffer[]>();

  /** A buffer of `bytes`; what is in it is not said. */
  take(bytes: number): ArrayBuffer {
    return this.bySize.get(bytes)?.pop() ?? new ArrayBuffer(bytes);
  }

  /** For whoever takes one next. */
  give(buffer: ArrayBuffer): void {
    const same = this.bySize.get(buffer.byteLength);
    if (same) same.push(buffer);
    else this.bySize.set(buffer.byteLength, [buffer]);
  }
}
