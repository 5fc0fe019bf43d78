/** What pages may be given of the machine. Electron grants everything by default. */
import { isOwn } from './addresses.ts';

/** What is known of a request or of a check that comes before one; Electron tells more of some than of others. */
export interface Asked {
  permission: string;
  /** Address or origin of the page that asks. */
  page: string;
  isMainFrame: boolean;
  /** Of `media`: what is to be seen or heard. A check before a request may not know yet, and says `unknown`. */
  media?: readonly string[];
}

/** The camera, for the studio's own window; pasting into other programs; nothing else, and nobody else. */
export function mayUse({ permission, page, isMainFrame, media = [] }: Asked): boolean {
  if (!isOwn(page) || !isMainFrame) return false;
  if (permission === 'clipboard-sanitized-write') return true;
  return permission === 'media' && media.length > 0 && media.every((kind) => kind === 'video');
}
