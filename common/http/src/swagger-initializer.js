// The page at /docs/, from the binary: Swagger UI with the description of this process.
window.onload = () => {
  window.ui = SwaggerUIBundle({
    dom_id: "#swagger-ui",
    url: "/openapi.json",
    deepLinking: true,
    tryItOutEnabled: true,
    // or else a validator on the Internet is shown the URL of each description that is not on localhost
    validatorUrl: "none",
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
    responseInterceptor: withFreshKeys,
  });
};

// Each visit tries operations under a key of its own: a fixed example would repeat what somebody did before.
function withFreshKeys(answer) {
  if (!/\/openapi[^?]*\.json$/.test(answer.url)) return answer;
  const description = JSON.parse(answer.text);
  for (const operations of Object.values(description.paths)) {
    for (const { parameters = [] } of Object.values(operations)) {
      for (const one of parameters) if (one.name === "Idempotency-Key") one.example = freshKey();
    }
  }
  answer.text = JSON.stringify(description);
  return answer;
}

function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `prueba-${Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")}`;
}
