// The pack's settings in ComfyUI's settings dialog.
import { app } from "/scripts/app.js";

app.registerExtension({
  name: "fewstep.Settings",
  settings: [
    {
      id: "FewStep.KSamplerDropDowns",
      category: ["FewStep", "KSampler", "Drop-downs"],
      name: "Add FewStep's samplers and schedules to KSampler's drop-downs",
      tooltip:
        "Adds fewstep_lcm, fewstep_tcd, fewstep_trailing and fewstep_lcm after the next start of " +
        "ComfyUI. Workflows that use these names need FewStep wherever they are opened.",
      type: "boolean",
      defaultValue: false,
    },
    {
      id: "FewStep.Live",
      category: ["FewStep", "Live", "Live"],
      name: "Buttons for live pictures on Live Output (FewStep)",
      tooltip: "Off: the node shows its picture after Run alone. Takes effect when the page is loaded.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.LiveQuiet",
      category: ["FewStep", "Live", "Quick runs"],
      name: "Quick live runs leave out the page's own progress",
      tooltip:
        "Pictures come sooner: the page draws borders and progress only for runs that last longer than a " +
        "second, and for the first. Off: every live run is followed as any other.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.LiveSliders",
      category: ["FewStep", "Live", "Sliders"],
      name: "Sliders on Live Output (FewStep)",
      tooltip:
        "Drive the numbers of nodes that lead to it from the node itself. Takes effect when the page is " +
        "loaded.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.Compare",
      category: ["FewStep", "Compare", "Compare"],
      name: "A divider between the pictures on Compare (FewStep)",
      tooltip: "Off: the node's sheet alone has the pictures. Takes effect when the page is loaded.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.Sidebar",
      category: ["FewStep", "Sidebar", "Files"],
      name: "A tab in the sidebar with every model file and what it needs",
      tooltip: "Takes effect when the page is loaded.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.RecipeBadges",
      category: ["FewStep", "Nodes", "Badges"],
      name: "Badges on nodes: whether what they were given fits",
      tooltip: "fits, unsure or does not fit, after a run; the reasons on hover, and all of them on a click.",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.CoverageBar",
      category: ["FewStep", "Nodes", "Coverage"],
      name: "Bar on LoRA Loader (FewStep): how much of the LoRA fits the model",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.SigmaCurve",
      category: ["FewStep", "Nodes", "Curve"],
      name: "Curve of the noise levels on Sigmas and Apply (FewStep)",
      type: "boolean",
      defaultValue: true,
    },
    {
      id: "FewStep.PassesAndTime",
      category: ["FewStep", "Nodes", "Passes"],
      name: "Network passes and seconds on Sample and Cache (FewStep)",
      type: "boolean",
      defaultValue: true,
    },
  ],
});
