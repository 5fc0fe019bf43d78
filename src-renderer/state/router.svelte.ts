/** Where the user is, kept in the address so that every page can be linked to, reloaded and gone back to. */
export interface Place {
  /** Path segments: `['datasets', 'signs']`. */
  path: string[];
  query: URLSearchParams;
}

function read(): Place {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

class Router {
  place = $state.raw<Place>(read());

  private fetch: (place: Place) => Promise<void> | undefined = () => undefined;

  constructor() {
    addEventListener('hashchange', () => void this.arrive());
  }

  /** @param fetch fetches what a place needs; undefined where that is there */
  beforeArrival(fetch: (place: Place) => Promise<void> | undefined): void {
    this.fetch = fetch;
  }

  get page(): string {
    return this.place.path[0] ?? 'start';
  }

  go(...path: string[]): void {
    location.hash = link(...path);
  }

  /** Changes the query of this page without a new entry in the history. */
  refine(changes: Record<string, string | null>): void {
    const query = new URLSearchParams(this.place.query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === '') query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history.replaceState(null, '', `${link(...this.place.path)}${text ? `?${text}` : ''}`);
    this.place = read();
  }

  private async arrive(): Promise<void> {
    const { hash } = location;
    const fetched = this.fetch(read());
    if (fetched) await fetched;
    // Meanwhile the user may have gone elsewhere.
    if (location.hash === hash) this.place = read();
  }
}

export function link(...path: string[]): string {
  return `#/${path.map(encodeURIComponent).join('/')}`;
}

export const router = new Router();
