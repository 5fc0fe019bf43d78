import './styles/tokens.css';
import './styles/base.css';
import './styles/field.css';
import './styles/table.css';
import './styles/words.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { fillMenu } from './commands/menu.ts';

mount(App, { target: document.getElementById('app')! });
fillMenu();
