import * as module from 'node:module';

/** Of sharp's builds those that would load a GLib of their own beside Electron's, and crash (lovell/sharp#4522). */
const NATIVE = /^@img\/sharp-linux(musl)?-\w+\/sharp\.node$/;

type Resolve = (specifier: string, context: unknown) => unknown;
/** `module.registerHooks`, which Electron's Node has, and Node 20 and its types do not. */
type RegisterHooks = (hooks: { resolve: (specifier: string, context: unknown, next: Resolve) => unknown }) => void;

/**
 * Inside Electron on Linux, has sharp take its WebAssembly build. The packed app holds no other there; this is for a
 * clone, where the command uses the native one.
 */
export function avoidSystemGlib(): void {
  const registerHooks = Reflect.get(module, 'registerHooks') as RegisterHooks | undefined;
  if (process.platform !== 'linux') return;
  registerHooks?.({
    resolve: (specifier, context, next) =>
      next(NATIVE.test(specifier) ? '@img/sharp-wasm32/sharp.node' : specifier, context),
  });
}
