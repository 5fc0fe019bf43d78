/** Where a backbone is served, as a workspace remembers it. */
import { z } from 'zod';
import { Failure } from '../base/failure.ts';

export interface ModelAddress {
  /** Of the server, without a slash at the end. */
  server: string;
  model: string;
}

/**
 * The parts of `http://HOST:PORT/v2/models/NAME`.
 * @throws Failure `usage`
 */
export function modelAddress(url: string): ModelAddress {
  const parsed = z.url({ protocol: /^https?$/ }).safeParse(url);
  const [, prefix, model] =
    /^(.*?)\/v2\/models\/([^/]+)(?:\/versions\/[^/]+)?\/?$/.exec(new URL(parsed.data ?? 'x:').pathname) ?? [];
  if (!parsed.success || model === undefined)
    throw new Failure(
      'usage',
      `"${url}" is not the address of a served model: it has to be http://HOST:PORT/v2/models/NAME.`,
    );
  return { server: `${new URL(url).origin}${prefix}`, model: decodeURIComponent(model) };
}

/**
 * The parts of the address of a server, or of a model on it.
 * @throws Failure `usage`
 */
export function serverAddress(url: string): Pick<ModelAddress, 'server'> & Partial<ModelAddress> {
  if (!isAddress(url) || !URL.canParse(url))
    throw new Failure('usage', `"${url}" is not the address of a server: it has to be http://HOST:PORT.`);
  return url.includes('/v2/models/') ? modelAddress(url) : { server: url.replace(/\/+$/, '') };
}

export const isAddress = (text: string): boolean => /^https?:\/\//i.test(text);
