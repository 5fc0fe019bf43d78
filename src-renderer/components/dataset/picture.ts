/** Addresses of a dataset's pictures. */
export function pictureOf(dataset: string, place: number, large = false): string {
  return `./picture/${encodeURIComponent(dataset)}/${place}${large ? '/large' : ''}`;
}

export function nameOf(path: string): string {
  return path.split('/').at(-1) ?? path;
}
