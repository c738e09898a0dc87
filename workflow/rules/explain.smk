"""Show where a network looks.

gradcam: a trained model and test images -> explain/{split}/{variant}/...: maps, scores and one panel per image
"""

FIRST_SEED = f"{RUN}/seed-{config['seeds'][0]}"


rule gradcam:
    input:
        model=f"results/runs/{FIRST_SEED}/model.keras",
        predictions=f"results/runs/{FIRST_SEED}/predictions.parquet",
        sampling=variant_sampling,
        images=rules.pack.output.images,
        masks=rules.pack.output.masks,
    output:
        cams=f"results/explain/{RUN}/cams.npy",
        scores=f"results/explain/{RUN}/scores.tsv",
        panels=report(
            directory(f"results/explain/{RUN}/panels"),
            patterns=["{image}.png"],
            caption="../report/gradcam.rst",
            category="Grad-CAM",
            subcategory=RUN,
            labels={"image": "{image}"},
        ),
    log:
        f"results/logs/gradcam/{RUN}.log",
    benchmark:
        f"results/benchmarks/gradcam/{RUN}.tsv"
    conda:
        "../../envs/pulmoscan.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
        runtime=more_each_attempt(60),
    params:
        *code("scripts/gradcam.py"),
        program=program("scripts/gradcam.py"),
        pixels=variant_pixels,
        explain=as_json(EXPLAIN),
        batch_size=config["training"]["batch_size"],
        threads=config["training"]["threads"],
        backend=KERAS_BACKEND,
        folder=subpath(output.cams, parent=True),
    shell:
        r"""
        {params.program:q} \
            --model {input.model:q} \
            --predictions {input.predictions:q} \
            --sampling {input.sampling:q} \
            --images {input.images:q} \
            --masks {input.masks:q} \
            --pixels {params.pixels:q} \
            --explain {params.explain:q} \
            --batch-size {params.batch_size} \
            --threads {params.threads} \
            --output {params.folder:q} \
            >{log:q} 2>&1
        """
