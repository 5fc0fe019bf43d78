/**
 * The file on the disk behind a path, or an address, into the packed desktop app: threads, other processes and native
 * code know no archives. Every other path is returned as it is.
 */
export function unpacked(path: string): string {
  return path.replace(/([/\\]app\.asar)(?=[/\\])/, '$1.unpacked');
}
