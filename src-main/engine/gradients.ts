/**
 * TF.js's gradient functions. The published tfjs-core bundle for Node registers none of them; loading tfjs-layers
 * does, into the registry that all copies of core share, and is the lightest kept package that does.
 */
import '@tensorflow/tfjs-layers';
