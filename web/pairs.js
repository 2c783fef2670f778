// A command in ComfyUI's menu that opens the page of blind comparisons.
import { api } from "/scripts/api.js";
import { app } from "/scripts/app.js";

app.registerExtension({
  name: "fewstep.Pairs",
  commands: [
    {
      id: "FewStep.ComparePictures",
      label: "Compare pictures blind",
      icon: "pi pi-eye-slash",
      function: () => window.open(api.apiURL("/fewstep/pairs"), "_blank"),
    },
  ],
  menuCommands: [{ path: ["FewStep"], commands: ["FewStep.ComparePictures"] }],
});
