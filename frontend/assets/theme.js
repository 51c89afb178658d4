// Takes the chosen theme before anything is painted. A file of its own, since the policy forbids inline scripts.
try {
  const theme = localStorage.getItem("bank.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the theme is the system's.
}
