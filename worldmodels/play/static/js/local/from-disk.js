// Not a module, because browsers run no modules of pages that are opened from a disk: it says what to do instead.

if (location.protocol === "file:") {
  const words = "Browsers do not let a page dream from a file. In this folder type: python -m http.server 8000";
  document.getElementById("asleep").textContent = `${words}, and open http://localhost:8000`;
  document.getElementById("status").textContent = "opened from a file";
}
