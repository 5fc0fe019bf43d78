/** Imported before anything that loads sharp. */
import { avoidSystemGlib } from './avoid-system-glib.ts';

avoidSystemGlib();
