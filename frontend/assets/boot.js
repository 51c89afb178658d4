// Loads the program. In its own file, so that the page needs no inline script and the policy can forbid them.
import init from "/app.js";

init({ module_or_path: "/app_bg.wasm" }).catch((error) => {
  const message = document.createElement("p");
  message.className = "failure";
  message.textContent = "The page could not be started. Reload it; it needs a browser with WebAssembly.";
  document.body.append(message);
  throw error;
});
