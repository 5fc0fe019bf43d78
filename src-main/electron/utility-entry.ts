/** Entry of every process that Electron starts for us: the program that is meant comes as the first argument. */
import { pathToFileURL } from 'node:url';
import { avoidSystemGlib } from './avoid-system-glib.ts';

avoidSystemGlib();
// The program finds its name and its own arguments where Node would have put them.
process.argv.splice(1, 1);
await import(pathToFileURL(process.argv[1]!).href);
